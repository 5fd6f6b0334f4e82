/* dsp/vad_model.c: contexts and networks against sums written out in double. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "dsp/vad_model.h"
#include "dsp/vad_weights.h"

enum { FRAMES = 120 };

static float history[FRAMES][VAD_FEATURES];

static void fill_history(void) {
  uint32_t seed = 9;
  for (int t = 0; t < FRAMES; t++) {
    for (int i = 0; i < VAD_FEATURES; i++) {
      seed = seed * 1664525u + 1013904223u;
      history[t][i] = (float)(int32_t)seed * (1.0f / 2147483648.0f);
    }
  }
}

static double mean_of(int first, int last, int feature) {
  double sum = 0;
  for (int t = first; t <= last; t++) sum += t < 0 ? 0 : history[t][feature];
  return sum / (last - first + 1);
}

static double slow_mean(int newest, int frames, int feature) {
  double mean = 0;
  for (int t = 0; t <= newest; t++) mean += (history[t][feature] - mean) / frames;
  return mean;
}

static double network(const double *input, int inputs, int hidden, const float *w1, const float *b1,
                      const float *w2, float b2) {
  double z = b2;
  for (int h = 0; h < hidden; h++) {
    double a = b1[h];
    for (int i = 0; i < inputs; i++) a += input[i] * w1[i * hidden + h];
    z += a > 0 ? a * w2[h] : 0;
  }
  return z;
}

static double settled_directly(int t) {
  double input[VAD_SETTLED_INPUTS];
  for (int i = 0; i < VAD_FEATURES; i++) {
    input[i] = mean_of(t - 1, t + 1, i);
    input[VAD_FEATURES + i] = mean_of(t + 2, t + 4, i);
    input[2 * VAD_FEATURES + i] = mean_of(t + 5, t + 9, i);
    input[3 * VAD_FEATURES + i] = mean_of(t - 6, t - 2, i);
    input[4 * VAD_FEATURES + i] = slow_mean(t + 9, 20, i);
    input[5 * VAD_FEATURES + i] = slow_mean(t + 9, 60, i);
  }
  return network(input, VAD_SETTLED_INPUTS, VAD_SETTLED_HIDDEN, vad_settled_input, vad_settled_hidden_bias,
                 vad_settled_output, vad_settled_output_bias);
}

static double instant_directly(int t) {
  double input[VAD_INSTANT_INPUTS];
  for (int i = 0; i < VAD_FEATURES; i++) {
    input[i] = mean_of(t - 2, t, i);
    input[VAD_FEATURES + i] = mean_of(t - 8, t - 3, i);
    input[2 * VAD_FEATURES + i] = slow_mean(t, 20, i);
    input[3 * VAD_FEATURES + i] = slow_mean(t, 60, i);
  }
  return network(input, VAD_INSTANT_INPUTS, VAD_INSTANT_HIDDEN, vad_instant_input, vad_instant_hidden_bias,
                 vad_instant_output, vad_instant_output_bias);
}

static void networks_are_the_direct_sums(void **state) {
  (void)state;
  struct vad_model m;
  vad_model_init(&m);
  fill_history();
  for (int t = 0; t < FRAMES; t++) {
    vad_model_take(&m, history[t]);
    struct vad_log_odds log_odds;
    vad_model_log_odds(&m, &log_odds);
    assert_true(fabs(log_odds.instant - instant_directly(t)) < 1e-3);
    if (t >= VAD_LOOK_AHEAD)
      assert_true(fabs(log_odds.settled - settled_directly(t - VAD_LOOK_AHEAD)) < 1e-3);
  }
}

static void a_repeat_is_the_same_features_again(void **state) {
  (void)state;
  struct vad_model a, b;
  vad_model_init(&a);
  vad_model_init(&b);
  fill_history();
  for (int t = 0; t < 40; t++) {
    vad_model_take(&a, history[t / 2]);
    if (t % 2 == 0)
      vad_model_take(&b, history[t / 2]);
    else
      vad_model_repeat(&b);
    assert_memory_equal(&a, &b, sizeof a);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(networks_are_the_direct_sums),
      cmocka_unit_test(a_repeat_is_the_same_features_again),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
