/* The E-model of ITU-T G.107: from delays, levels, codec and loss to a rating R and an estimated MOS
 * (voice-quality.md 1.1 to 1.6). Narrowband in full (emodel.c) and, as its wideband and fullband kin of
 * G.107.1 and G.107.2, in the reduced form used for monitoring (emodel_scale.c).
 *
 * Use: copy emodel_defaults, set what is known, call emodel_reduced() (monitoring) or emodel_full().
 * R is one scale for all three; it is what is averaged and compared. MOS is made of it last, by the scale
 * of the listener: MOS of two scales never meet.
 *
 * Every function is pure. A NaN or an infinity among the inputs gives NaN and EMODEL_NOT_FINITE, never
 * a number; finite inputs that the formulas cannot take are clamped and flagged. The one other NaN is
 * loss on a codec that has no Bpl (EMODEL_NO_BPL). */
#ifndef DSP_EMODEL_H
#define DSP_EMODEL_H

#include <stdbool.h>

#define EMODEL_R_CEILING_NB     93.2 /* R of an unimpaired narrowband call, as the Recommendation rounds it */
#define EMODEL_LOSS_CONSTANT_NB 95.0 /* also of G.107.1; Ie_eff tends to it */
#define EMODEL_LOSS_CONSTANT_FB 132.0          /* G.107.2 */
#define EMODEL_DEFAULT_ID       0.149045724937 /* Id with all defaults, already inside the 93.2 */

enum emodel_flag {
  EMODEL_CLAMPED = 1,      /* an input was moved to the nearest one that can be computed */
  EMODEL_OUT_OF_RANGE = 2, /* an input lies outside what G.107 permits; computed all the same */
  EMODEL_NOT_FINITE = 4,   /* NaN or infinity among the inputs: no result */
  EMODEL_NO_BPL = 8,       /* loss on a codec without a Bpl: no result */
  EMODEL_NO_WB_DELAY = 16  /* wideband delay beyond mt_ms: its coefficient is not known (1.6), no result */
};

/* What Id of the reduced form means; the choice moves R by up to 4 points, so it is always named. */
enum emodel_id {
  EMODEL_ID_ABSOLUTE, /* absolute delay only: echo is controlled */
  EMODEL_ID_FULL      /* with echo: T = Ta, Tr = 2 Ta, TELR as given */
};

struct emodel_inputs {
  double slr_db, rlr_db; /* send and receive loudness ratings */
  double stmr_db;        /* sidetone masking rating; the listener's is stmr_db + dr_db */
  double ds_db, dr_db;   /* D-values of the telephone, send and receive */
  double telr_db;        /* talker echo loudness rating */
  double wepl_db;        /* weighted echo path loss */
  double t_ms;           /* mean one-way delay of the echo path */
  double tr_ms;          /* round trip in the 4-wire loop */
  double ta_ms;          /* absolute delay one way, mouth to ear */
  double qdu;            /* quantizing distortion units */
  double ie;             /* equipment impairment of the codec without loss */
  double bpl;            /* packet-loss robustness; 0 or less: the codec has none */
  double ppl_pct;        /* packets lost or late, in per cent of those expected */
  double burst_ratio;    /* 1: random loss */
  double nc_dbm0p;       /* circuit noise at the 0 dBr point */
  double nfor_dbmp;      /* noise floor at the receive side */
  double ps_dba, pr_dba; /* room noise, send and receive side */
  double advantage;      /* A; 0 in monitoring */
  double mt_ms, st;      /* delay below which nothing is felt, and the sensitivity to it */
};

extern const struct emodel_inputs emodel_defaults;

/* r = ro - is - id - ie_eff + advantage; id = idte + idle + idd. */
struct emodel_result {
  double ro, is;
  double id, idte, idle, idd;
  double ie_eff;
  double r;       /* unclamped: may lie below 0 or above 100 */
  double mos;     /* 1 to 4.5 */
  unsigned flags; /* of enum emodel_flag */
};

/* Whole model of G.107. Every number of `out` is NaN when one input is not finite; with EMODEL_NO_BPL
 * only ie_eff, r and mos are. */
void emodel_full(const struct emodel_inputs *in, struct emodel_result *out);

/* R = 93.2 - Id - Ie_eff. Of `in` it reads ie, bpl, ppl_pct, burst_ratio, ta_ms, mt_ms and st, and for
 * EMODEL_ID_FULL telr_db; all else is at its default. In `out` ro is 93.2 and is is 0; idte and idle are
 * 0 for EMODEL_ID_ABSOLUTE; for EMODEL_ID_FULL id is their sum with idd, less the default Id, at least 0.
 * With ta_ms 0 this is the listening quality (LQ); pass the real delay for CQ. */
void emodel_reduced_nb(const struct emodel_inputs *in, enum emodel_id id, struct emodel_result *out);

/* What a listener compares with: a telephone, wideband, or the full band. */
enum mos_scale { SCALE_NB, SCALE_WB, SCALE_FB };
enum { MOS_SCALES = 3 };

/* The constants of 1.6 and the names of 1.8. */
struct emodel_scale {
  const char *name;            /* "nb", "wb", "fb" */
  const char *model;           /* "G.107", "G.107.1", "G.107.2" */
  const char *mos_lq, *mos_cq; /* P.800.1: "MOS-LQEN", "MOS-CQEN" */
  double ceiling;              /* R without any impairment */
  double loss_constant;
  double delay_coefficient; /* of Idd's bracket; 0: not known */
  double mos_divisor;
  bool bursts; /* the burst ratio enters the loss term */
};

const struct emodel_scale *emodel_scale(enum mos_scale scale);

/* R = ceiling - Idd - Ie_eff on the constants of `scale`, with absolute delay only. Of `in` it reads ie,
 * bpl, ppl_pct, ta_ms, mt_ms and st, and for SCALE_NB burst_ratio. In `out` ro is the ceiling, idte and
 * idle are 0, mos is that of the scale. */
void emodel_reduced(enum mos_scale scale, const struct emodel_inputs *in, struct emodel_result *out);
/* R to MOS for a listener of the scale: 1 to 4.5. NaN and infinities give NaN. */
double emodel_mos_on(enum mos_scale scale, double r);
/* Impairment by absolute delay with default sensitivity; NaN where the scale's coefficient is not known. */
double emodel_idd_on(enum mos_scale scale, double ta_ms);

/* R to estimated MOS for a narrowband listener: 1 to 4.5. NaN and infinities give NaN. */
double emodel_mos(double r);
/* The inverse: 6.5153 to 100. A MOS outside 1 to 4.5 counts as the nearer end. */
double emodel_r_of_mos(double mos);
/* Share of users, in per cent, who would say "good or better", "poor or worse". */
double emodel_gob_pct(double r);
double emodel_pow_pct(double r);

/* Impairment by absolute delay; 0 up to mt_ms. */
double emodel_idd(double ta_ms, double mt_ms, double st);

/* Codec impairment under loss. `constant` is EMODEL_LOSS_CONSTANT_NB or _FB. No loss gives `ie`, within
 * its clamp 0 to constant - 0.1, exactly. A burst ratio above 1 can bring it past `constant`. */
double emodel_ie_eff(double ie, double bpl, double ppl_pct, double burst_ratio, double constant);
/* What emodel_ie_eff() did to these inputs: enum emodel_flag. */
unsigned emodel_ie_eff_flags(double ie, double bpl, double ppl_pct, double burst_ratio, double constant);

#endif
