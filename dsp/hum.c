#include "dsp/hum.h"

#include <math.h>
#include <string.h>

enum { LOW_RATE_HZ = 800, BLOCK_FRAMES = 50, RUN_MIN = 3, HARMONICS = 3, PHASES = 5 };

static const double above_neighbours = 15.848931924611135; /* 12 dB */
static const double least_power = 3395.4697828;            /* -55 dBov */

/* Indices into tone_hz of each harmonic; its neighbours are the entries beside it. */
static const uint8_t harmonic[HUM_KINDS][HARMONICS] = {{1, 5, 10}, {2, 7, 13}};

/* What the comb filter took of each tone's power, given back. */
static const double give_back[TONE_COUNT] = {1.0250, 1.0394, 1.0572, 1.0787, 1.1336, 1.1677, 1.2066, 1.2507,
                                             1.3007, 1.3571, 1.4206, 1.4920, 1.5722, 1.6624, 1.7637};

/* A turn in five steps: 20 ms are 1/5 of a period of 10 Hz. */
static const double turn_cos[PHASES] = {1, 0.30901699437494745, -0.8090169943749475, -0.8090169943749475,
                                        0.30901699437494745};
static const double turn_sin[PHASES] = {0, 0.9510565162951535, 0.5877852522924731, -0.5877852522924731,
                                        -0.9510565162951535};

void hum_decimate_init(struct hum_decimator *d, uint32_t rate_hz) {
  memset(d, 0, sizeof *d);
  d->step = rate_hz / LOW_RATE_HZ;
  d->scale = 1 / ((double)d->step * d->step * d->step);
}

void hum_decimate(struct hum_decimator *d, const int16_t *pcm, int16_t out[TONE_SAMPLES]) {
  uint64_t a = d->sum[0], b = d->sum[1], c = d->sum[2];
  for (int n = 0; n < TONE_SAMPLES; n++) {
    for (uint32_t i = 0; i < d->step; i++) {
      a += (uint64_t)(int64_t)*pcm++;
      b += a;
      c += b;
    }
    uint64_t value = c;
    for (int stage = 0; stage < 3; stage++) {
      uint64_t before = d->before[stage];
      d->before[stage] = value;
      value -= before;
    }
    out[n] = (int16_t)lrint((double)(int64_t)value * d->scale);
  }
  d->sum[0] = a;
  d->sum[1] = b;
  d->sum[2] = c;
}

void hum_init(struct hum *h) {
  memset(h, 0, sizeof *h);
}

/* Power of a sine of this frequency, in steps of 16 bits, squared. */
static double tone_power(const struct hum *h, int tone) {
  static const double samples = BLOCK_FRAMES * TONE_SAMPLES, table_step = 2048;
  double re = h->re[tone] / table_step, im = h->im[tone] / table_step;
  return 2 * (re * re + im * im) / (samples * samples) * give_back[tone];
}

/* Power of the three harmonics, or 0 when it does not stand out. */
static double hum_of(const struct hum *h, int kind) {
  double power = 0, beside = 0;
  for (int i = 0; i < HARMONICS; i++) {
    int tone = harmonic[kind][i];
    power += tone_power(h, tone);
    beside += (tone_power(h, tone - 1) + tone_power(h, tone + 1)) / 2;
  }
  return power >= least_power && power >= above_neighbours * beside ? power : 0;
}

static void count_block(struct hum *h, int kind, double power) {
  if (!(power > 0)) {
    h->run[kind] = 0;
    h->run_power[kind] = 0;
    return;
  }
  h->newest_power = power;
  h->run_power[kind] += power;
  h->run[kind]++;
  if (h->run[kind] < RUN_MIN) return;
  h->hum_blocks[kind] += h->run[kind] == RUN_MIN ? RUN_MIN : 1;
  h->hum_power[kind] += h->run_power[kind];
  h->run_power[kind] = 0;
}

static void end_block(struct hum *h) {
  double power_50 = hum_of(h, HUM_50), power_60 = hum_of(h, HUM_60);
  h->blocks++;
  h->frames = 0;
  count_block(h, HUM_50, power_50 >= power_60 ? power_50 : 0);
  count_block(h, HUM_60, power_60 > power_50 ? power_60 : 0);
}

void hum_frame(struct hum *h, const struct kernels *kernels, const int16_t pcm[TONE_SAMPLES]) {
  int32_t part[TONE_COUNT][2];
  kernels->tones(pcm, part);
  if (h->frames == 0) {
    memset(h->re, 0, sizeof h->re);
    memset(h->im, 0, sizeof h->im);
  }
  for (int t = 0; t < TONE_COUNT; t++) {
    uint32_t phase = tone_hz[t] / 10 * h->frames % PHASES;
    double c = turn_cos[phase], s = turn_sin[phase], re = part[t][0], im = part[t][1];
    h->re[t] += c * re - s * im;
    h->im[t] += s * re + c * im;
  }
  if (++h->frames == BLOCK_FRAMES) end_block(h);
}

uint32_t hum_hz(const struct hum *h) {
  return h->run[HUM_50] >= RUN_MIN ? 50 : h->run[HUM_60] >= RUN_MIN ? 60 : 0;
}
