#include "dsp/g711.h"

/* Both laws count in 16-bit samples here: mu-law is defined over 14 bits and shifted up by 2, A-law over
 * 13 and shifted up by 3, as the ITU-T software tools do. */
enum { MU_BIAS = 33, MU_TOP = 8191, SEGMENT_BITS = 4, EVEN_BITS = 0x55, SIGN = 0x80, CODES = 256 };

static const int16_t mu_law[CODES] = {
    -32124, -31100, -30076, -29052, -28028, -27004, -25980, -24956, -23932, -22908, -21884, -20860, -19836,
    -18812, -17788, -16764, -15996, -15484, -14972, -14460, -13948, -13436, -12924, -12412, -11900, -11388,
    -10876, -10364, -9852,  -9340,  -8828,  -8316,  -7932,  -7676,  -7420,  -7164,  -6908,  -6652,  -6396,
    -6140,  -5884,  -5628,  -5372,  -5116,  -4860,  -4604,  -4348,  -4092,  -3900,  -3772,  -3644,  -3516,
    -3388,  -3260,  -3132,  -3004,  -2876,  -2748,  -2620,  -2492,  -2364,  -2236,  -2108,  -1980,  -1884,
    -1820,  -1756,  -1692,  -1628,  -1564,  -1500,  -1436,  -1372,  -1308,  -1244,  -1180,  -1116,  -1052,
    -988,   -924,   -876,   -844,   -812,   -780,   -748,   -716,   -684,   -652,   -620,   -588,   -556,
    -524,   -492,   -460,   -428,   -396,   -372,   -356,   -340,   -324,   -308,   -292,   -276,   -260,
    -244,   -228,   -212,   -196,   -180,   -164,   -148,   -132,   -120,   -112,   -104,   -96,    -88,
    -80,    -72,    -64,    -56,    -48,    -40,    -32,    -24,    -16,    -8,     0,      32124,  31100,
    30076,  29052,  28028,  27004,  25980,  24956,  23932,  22908,  21884,  20860,  19836,  18812,  17788,
    16764,  15996,  15484,  14972,  14460,  13948,  13436,  12924,  12412,  11900,  11388,  10876,  10364,
    9852,   9340,   8828,   8316,   7932,   7676,   7420,   7164,   6908,   6652,   6396,   6140,   5884,
    5628,   5372,   5116,   4860,   4604,   4348,   4092,   3900,   3772,   3644,   3516,   3388,   3260,
    3132,   3004,   2876,   2748,   2620,   2492,   2364,   2236,   2108,   1980,   1884,   1820,   1756,
    1692,   1628,   1564,   1500,   1436,   1372,   1308,   1244,   1180,   1116,   1052,   988,    924,
    876,    844,    812,    780,    748,    716,    684,    652,    620,    588,    556,    524,    492,
    460,    428,    396,    372,    356,    340,    324,    308,    292,    276,    260,    244,    228,
    212,    196,    180,    164,    148,    132,    120,    112,    104,    96,     88,     80,     72,
    64,     56,     48,     40,     32,     24,     16,     8,      0,
};

static const int16_t a_law[CODES] = {
    -5504,  -5248,  -6016,  -5760,  -4480,  -4224,  -4992,  -4736,  -7552,  -7296,  -8064,  -7808,  -6528,
    -6272,  -7040,  -6784,  -2752,  -2624,  -3008,  -2880,  -2240,  -2112,  -2496,  -2368,  -3776,  -3648,
    -4032,  -3904,  -3264,  -3136,  -3520,  -3392,  -22016, -20992, -24064, -23040, -17920, -16896, -19968,
    -18944, -30208, -29184, -32256, -31232, -26112, -25088, -28160, -27136, -11008, -10496, -12032, -11520,
    -8960,  -8448,  -9984,  -9472,  -15104, -14592, -16128, -15616, -13056, -12544, -14080, -13568, -344,
    -328,   -376,   -360,   -280,   -264,   -312,   -296,   -472,   -456,   -504,   -488,   -408,   -392,
    -440,   -424,   -88,    -72,    -120,   -104,   -24,    -8,     -56,    -40,    -216,   -200,   -248,
    -232,   -152,   -136,   -184,   -168,   -1376,  -1312,  -1504,  -1440,  -1120,  -1056,  -1248,  -1184,
    -1888,  -1824,  -2016,  -1952,  -1632,  -1568,  -1760,  -1696,  -688,   -656,   -752,   -720,   -560,
    -528,   -624,   -592,   -944,   -912,   -1008,  -976,   -816,   -784,   -880,   -848,   5504,   5248,
    6016,   5760,   4480,   4224,   4992,   4736,   7552,   7296,   8064,   7808,   6528,   6272,   7040,
    6784,   2752,   2624,   3008,   2880,   2240,   2112,   2496,   2368,   3776,   3648,   4032,   3904,
    3264,   3136,   3520,   3392,   22016,  20992,  24064,  23040,  17920,  16896,  19968,  18944,  30208,
    29184,  32256,  31232,  26112,  25088,  28160,  27136,  11008,  10496,  12032,  11520,  8960,   8448,
    9984,   9472,   15104,  14592,  16128,  15616,  13056,  12544,  14080,  13568,  344,    328,    376,
    360,    280,    264,    312,    296,    472,    456,    504,    488,    408,    392,    440,    424,
    88,     72,     120,    104,    24,     8,      56,     40,     216,    200,    248,    232,    152,
    136,    184,    168,    1376,   1312,   1504,   1440,   1120,   1056,   1248,   1184,   1888,   1824,
    2016,   1952,   1632,   1568,   1760,   1696,   688,    656,    752,    720,    560,    528,    624,
    592,    944,    912,    1008,   976,    816,    784,    880,    848,
};

int16_t g711_mu_to_linear(uint8_t code) {
  return mu_law[code];
}

int16_t g711_a_to_linear(uint8_t code) {
  return a_law[code];
}

/* Number of the highest bit set; `value` is not 0. */
static unsigned top_bit(unsigned value) {
  return 31u - (unsigned)__builtin_clz(value);
}

/* A negative sample counts by its one's complement: -1 is as far from 0 as 0 is. */
static unsigned magnitude(int16_t sample) {
  return (unsigned)(sample < 0 ? ~sample : sample);
}

/* The bias moves the segments' borders to powers of 2: segment 0 begins at bit 5. All bits are sent
 * inverted, the sign too. */
uint8_t g711_linear_to_mu(int16_t sample) {
  unsigned level = (magnitude(sample) >> 2) + MU_BIAS;
  if (level > MU_TOP) level = MU_TOP;
  unsigned segment = top_bit(level) - 5;
  unsigned step = (level >> (segment + 1)) & 0xf;
  unsigned code = (segment << SEGMENT_BITS) | step;
  return (uint8_t) ~(code | (sample < 0 ? SIGN : 0));
}

/* The first two segments have the same step; every other bit is sent inverted. */
uint8_t g711_linear_to_a(int16_t sample) {
  unsigned level = magnitude(sample) >> 4;
  unsigned segment = level < 32 ? level >> 4 : top_bit(level) - 3;
  unsigned step = (segment < 2 ? level : level >> (segment - 1)) & 0xf;
  unsigned code = (segment << SEGMENT_BITS) | step;
  return (uint8_t)((code | (sample < 0 ? 0 : SIGN)) ^ EVEN_BITS);
}

static size_t expand(const int16_t *law, const uint8_t *payload, size_t bytes, int16_t *pcm,
                     size_t capacity_samples) {
  size_t samples = bytes < capacity_samples ? bytes : capacity_samples;
  for (size_t i = 0; i < samples; i++) pcm[i] = law[payload[i]];
  return samples;
}

static size_t decode_mu(struct codec_decoder *d, const uint8_t *payload, size_t bytes, int16_t *pcm,
                        size_t capacity_samples) {
  (void)d;
  return expand(mu_law, payload, bytes, pcm, capacity_samples);
}

static size_t decode_a(struct codec_decoder *d, const uint8_t *payload, size_t bytes, int16_t *pcm,
                       size_t capacity_samples) {
  (void)d;
  return expand(a_law, payload, bytes, pcm, capacity_samples);
}

static size_t encode_mu(const int16_t *pcm, size_t samples, uint8_t *payload, size_t capacity_bytes) {
  size_t bytes = samples < capacity_bytes ? samples : capacity_bytes;
  for (size_t i = 0; i < bytes; i++) payload[i] = g711_linear_to_mu(pcm[i]);
  return bytes;
}

static size_t encode_a(const int16_t *pcm, size_t samples, uint8_t *payload, size_t capacity_bytes) {
  size_t bytes = samples < capacity_bytes ? samples : capacity_bytes;
  for (size_t i = 0; i < bytes; i++) payload[i] = g711_linear_to_a(pcm[i]);
  return bytes;
}

/* Silence, the smallest steps, both ceilings, the border of two segments. */
static const uint8_t mu_bytes[] = {0xff, 0xfe, 0x7e, 0x80, 0x00, 0xef, 0xf0};
static const int16_t mu_samples[] = {0, 8, -8, 32124, -32124, 132, 120};
static const struct codec_answer mu_answers[] = {
    {mu_bytes, sizeof mu_bytes, mu_samples, sizeof mu_samples / sizeof mu_samples[0]},
};

static const uint8_t a_bytes[] = {0xd5, 0x55, 0xd4, 0xaa, 0x2a, 0xda, 0xc5};
static const int16_t a_samples[] = {8, -8, 24, 32256, -32256, 248, 264};
static const struct codec_answer a_answers[] = {
    {a_bytes, sizeof a_bytes, a_samples, sizeof a_samples / sizeof a_samples[0]},
};

const struct codec g711_pcmu = {
    .id = CODEC_PCMU,
    .encoding = "PCMU",
    .sample_rate_hz = 8000,
    .announced_hz = {8000},
    .rtp_clock_hz = 8000,
    .pcm_ceiling = 32124,
    .bytes_per_ms = 8,
    .scale = SCALE_NB,
    .decode = decode_mu,
    .encode = encode_mu,
    .answers = mu_answers,
    .answer_count = sizeof mu_answers / sizeof mu_answers[0],
};

const struct codec g711_pcma = {
    .id = CODEC_PCMA,
    .encoding = "PCMA",
    .sample_rate_hz = 8000,
    .announced_hz = {8000},
    .rtp_clock_hz = 8000,
    .pcm_ceiling = 32256,
    .pcm_idle = 8,
    .bytes_per_ms = 8,
    .scale = SCALE_NB,
    .decode = decode_a,
    .encode = encode_a,
    .answers = a_answers,
    .answer_count = sizeof a_answers / sizeof a_answers[0],
};
