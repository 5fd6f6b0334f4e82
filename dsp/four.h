/* Four neighbouring floats at once: vector types of the compiler, one instruction each on x86 (SSE) and on Arm
 * (NEON), and on any other processor. The arithmetic of a lane is that of one float: the same bits. */
#ifndef DSP_FOUR_H
#define DSP_FOUR_H

#include <stdint.h>

enum { LANES = 4 };
/* They may stand at any address of a float. */
typedef float four __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t four_ints __attribute__((vector_size(16), aligned(4), may_alias));

static inline four four_load(const float *from) {
  return *(const four *)from;
}

static inline void four_store(float *to, four x) {
  *(four *)to = x;
}

/* last[0], last[-1], last[-2], last[-3]. */
static inline four four_load_backwards(const float *last) {
  four x = four_load(last - 3);
  return __builtin_shufflevector(x, x, 3, 2, 1, 0);
}

/* `mask` is what a comparison gives: all bits of a lane or none. */
static inline four four_choose(four_ints mask, four yes, four no) {
  return (four)(((four_ints)yes & mask) | ((four_ints)no & ~mask));
}

#endif
