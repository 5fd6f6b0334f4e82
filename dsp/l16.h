/* L16, linear samples: the row at 8 kHz, and the finding of its byte order.
 *
 * Nobody documents the order and sources contradict each other (telnyx-protocol.md 1.6), so it is
 * measured: read the wrong way round, sound jumps wildly from sample to sample. Until one second of
 * changing samples was seen the better reading so far is used, then the question is settled for this
 * decoder. Without a clear answer it is little-endian, which real calls have shown. */
#ifndef DSP_L16_H
#define DSP_L16_H

#include "dsp/codec.h"

extern const struct codec l16_8k;

#endif
