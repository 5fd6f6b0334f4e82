/* What a stretch of a track was coded with, and the E-model's rating of it.
 *
 * Modes change within a stretch, by themselves (AMR-WB, OPUS) or by a new `start`. R is one scale for all
 * codecs (voice-quality.md 1.6), so each mode gets the R it would have had with the stretch's loss, and
 * the stretch the mean of those by time. One mode without an Ie, or without a Bpl under loss, leaves the
 * stretch without R: that of the others alone is not the stretch's.
 *
 * Use: coded_add() for each frame with sound, coded_rate() at the end. No heap, no clock; one thread. */
#ifndef DSP_CODED_H
#define DSP_CODED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dsp/codec.h"
#include "dsp/impairment.h"

struct coded_sound {
  const struct codec *codec;
  uint8_t mode; /* of dsp/inspect.h */
  uint64_t us, bytes;
  uint32_t bytes_min, bytes_max; /* of a frame: equal ones are of a constant bit rate */
};

enum { CODED_MAX = 12 }; /* all modes of AMR-WB and three more; what comes after that is not counted */
struct coded_mix {
  size_t count;
  struct coded_sound sound[CODED_MAX];
};

/* `count` equal frames. */
void coded_add(struct coded_mix *mix, const struct codec *codec, uint8_t mode, uint64_t count,
               uint32_t frame_us, uint32_t frame_bytes);
void coded_join(struct coded_mix *into, const struct coded_mix *from);

/* The row that the sound goes by: of AMR-WB the diotic one, of G.711 the one with or without concealment.
 * False when there is none. */
bool coded_impairment(const struct coded_sound *sound, bool plc, struct impairment *out);

/* Whether BurstR enters the codec's loss term: not where bursty loss has a Bpl of its own. */
bool coded_takes_bursts(const struct codec *codec);

struct coded_rating {
  double r;                 /* listening quality; NaN: see `no_bpl` */
  double clean;             /* R without loss */
  double bpl;               /* mean by time of the ones used; 0: one of the modes has none */
  double share[MOS_SCALES]; /* of the time, by the modes' own scale */
  enum ie_basis basis;      /* the weakest */
  bool no_bpl;              /* there was loss, and a mode without Bpl */
  bool diotic;              /* a row of listeners with both ears was used: it is said beside the MOS (2.2) */
  bool out_of_range;        /* loss or bursts beyond what the model permits */
};

/* False when nothing was added, or a mode has no Ie. */
bool coded_rate(const struct coded_mix *mix, double ppl_pct, double burst_ratio, bool plc,
                struct coded_rating *out);

/* ---- the leg's own codec (1.7) ---- */

enum leg_known {
  LEG_UNKNOWN, /* nobody said: what the stream's codec costs may not be all */
  LEG_SAME,    /* the stream carries the leg's codec as it is */
  LEG_OTHER,   /* transcoded: `row` adds to it */
  LEG_UNRATED  /* transcoded from a codec nobody has rated */
};

struct leg_codec {
  enum leg_known known;
  const struct impairment *row;
  bool mode_assumed; /* a codec of several modes: `row` is the usual one */
};

/* `name` as webhooks have it ("PCMU", "AMR-WB~OCTET-ALIGN=0"); NULL when they have none. */
struct leg_codec leg_codec_of(const char *name, const struct codec *stream);
/* How far what is known of the leg can be trusted; the weaker of this and the stream's holds. */
enum ie_basis leg_basis(const struct leg_codec *leg);
/* What the leg takes from an R of sound on `scale`: its Ie, and the band it does not have. */
double leg_impairment(const struct leg_codec *leg, enum mos_scale scale);

#endif
