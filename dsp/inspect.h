/* What a payload tells of itself without being decoded (voice-quality.md 2.3, 2.4): its length in time,
 * the codec's mode, silence, damage upstream. Pure. */
#ifndef DSP_INSPECT_H
#define DSP_INSPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dsp/codec.h"

enum { AMR_WB_MODES = 9 };
extern const char *const amr_wb_mode_names[AMR_WB_MODES]; /* "6.60" to "23.85", in kbit/s */

struct codec_frame {
  uint32_t duration_us; /* 0: not told */
  bool coded;           /* sound in a known mode: */
  uint8_t mode;         /* AMR-WB 0 to 8; OPUS enum opus_band; other codecs have one mode, 0 */
  bool sid;             /* silence, described or not even that: no speech frame */
  bool upstream_bad;    /* damaged or lost before it reached who sent it to us */
};

/* AMR-WB is read in both packings of RFC 4867, by its table of contents where that fits the size, else
 * by the size alone. Several frames in one payload: damaged when one is, silence when all are, in the
 * mode of the first that is speech. OPUS is read by the TOC byte of RFC 6716. */
void codec_inspect(const struct codec *codec, const uint8_t *payload, size_t bytes, struct codec_frame *out);

#endif
