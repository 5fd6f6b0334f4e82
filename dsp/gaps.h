/* Mute gaps (voice-quality.md 5.8): inside speech the envelope falls by more than 20 dB in less than
 * 5 ms and is back within 20 to 200 ms. The envelope is the power of blocks of 2 ms, without DC; it falls
 * from what it was in the 20 ms before, and from what it was two blocks before. Plain state, no heap,
 * one thread. */
#ifndef DSP_GAPS_H
#define DSP_GAPS_H

#include <stddef.h>
#include <stdint.h>

#include "dsp/kernels.h"

enum { GAP_BLOCK_MS = 2, GAP_BEFORE_BLOCKS = 10 /* 20 ms: the level it falls from */ };

struct gaps {
  double per_sample;               /* 1 / samples of a block */
  double dc, dc_weight;            /* a slow mean; what the next block counts in it */
  double power[GAP_BEFORE_BLOCKS]; /* of the last blocks, by block modulo length */
  uint32_t at, known;              /* next to write; how many are there */
  uint32_t length;                 /* blocks of the open gap, 0: none */
  double limit;                    /* power that ends it */
  uint64_t count;
};

void gaps_init(struct gaps *g, uint32_t rate_hz);
void gaps_feed(struct gaps *g, const struct block_sum *block, size_t blocks);
/* What follows does not adjoin what came. */
void gaps_break(struct gaps *g);

#endif
