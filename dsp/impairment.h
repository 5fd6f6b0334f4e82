/* What each codec costs: Ie and Bpl of the E-model, a row a codec mode, each with its source and how far it
 * can be trusted (voice-quality.md 2).
 *
 * Use: impairment_row() for a mode by its name, impairment_opus() for what an Opus stream was seen to be.
 * Constant data; any thread. */
#ifndef DSP_IMPAIRMENT_H
#define DSP_IMPAIRMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "dsp/emodel.h"

/* By falling trust; of several, the last one holds for all. */
enum ie_basis {
  IE_PUBLISHED,  /* by the ITU or the TIA, and seen in two places or in a copy of the text */
  IE_LITERATURE, /* by others who measured */
  IE_DECLARED,   /* by whoever runs the agent */
  IE_ASSUMED,    /* recalled or chosen: not verified */
  IE_NONE        /* nobody knows */
};
const char *ie_basis_name(enum ie_basis basis);

struct impairment {
  const char *codec, *mode; /* "AMR-WB", "12.65"; mode "" when there is only one */
  const char *context;      /* the listener of the test: "monotic", "diotic"; "" when there is no choice */
  enum mos_scale scale;     /* whose R, loss constant and ceiling the figures belong to */
  double ie;
  double bpl;          /* of random loss; 0: none known, so there is no R under loss */
  double bpl_bursty;   /* of bursty loss, which stands for the burst ratio; 0: none */
  double bpl_frame_ms; /* the length of what was lost when Bpl was measured; 0: not told */
  double delay_ms;     /* algorithmic; 0: not told */
  enum ie_basis basis;
  const char *source;
};

/* The first row of that name. NULL when there is none. `context` "" takes any. */
const struct impairment *impairment_row(const char *codec, const char *mode, const char *context);
/* Every row, for tests and documentation. */
const struct impairment *impairment_rows(size_t *count);

enum opus_band { OPUS_NB, OPUS_MB, OPUS_WB, OPUS_SWB, OPUS_FB };
enum { OPUS_BANDS = 5 };

/* A row of Opus stands for the bit rates near its own. */
struct opus_impairment {
  enum opus_band band;
  bool constant_rate; /* CBR */
  double kbps;
  struct impairment impairment;
};

/* The row of the band and rate control that is nearest in bit rate, held beyond the ends of the table;
 * OPUS_FB takes those of OPUS_SWB. NULL for OPUS_MB: nobody measured it. */
const struct opus_impairment *impairment_opus(enum opus_band band, bool constant_rate, double kbps);
const struct opus_impairment *impairment_opus_rows(size_t *count);

#endif
