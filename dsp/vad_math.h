/* log2 and 2^x from plain float arithmetic: the same bits on every machine, which libm does not
 * promise. Private to the voice detector. */
#ifndef DSP_VAD_MATH_H
#define DSP_VAD_MATH_H

#include <float.h>
#include <stdint.h>
#include <string.h>

_Static_assert(FLT_RADIX == 2 && FLT_MANT_DIG == 24 && FLT_MAX_EXP == 128, "IEEE single is taken apart");
_Static_assert(FLT_EVAL_METHOD == 0, "wider intermediates would change decisions");

/* x > 0 and normal; error below 2e-5. The polynomial is a Chebyshev fit of log2(m) on [1, 2). */
static inline float vad_log2(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  float exponent = (float)((int32_t)(bits >> 23) - 127);
  bits = (bits & 0x007FFFFFu) | 0x3F800000u;
  float m;
  memcpy(&m, &bits, sizeof m);
  m -= 1.5f;
  float p = -0.0245685347f;
  p = p * m + 0.0439074798f;
  p = p * m + -0.07079686f;
  p = p * m + 0.141724736f;
  p = p * m + -0.320613035f;
  p = p * m + 0.961820821f;
  p = p * m + 0.584962501f;
  return exponent + p;
}

/* -120 <= x <= 120; relative error below 1e-5. */
static inline float vad_exp2(float x) {
  int32_t whole = (int32_t)(x + 128.0f) - 128; /* floor: the sum is positive */
  float f = x - (float)whole - 0.5f;
  float p = 0.00189375406f;
  p = p * f + 0.0136839756f;
  p = p * f + 0.0784939031f;
  p = p * f + 0.339723902f;
  p = p * f + 0.980258154f;
  p = p * f + 1.41421367f;
  uint32_t bits = (uint32_t)(whole + 127) << 23;
  float scale;
  memcpy(&scale, &bits, sizeof scale);
  return p * scale;
}

#endif
