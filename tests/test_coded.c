/* Ratings of what a stretch was coded with, and the leg's codec: voice-quality.md 1.6, 1.7, 2. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "dsp/coded.h"
#include "dsp/inspect.h"
#include "tests/seed.h"

static struct coded_mix mix;
static struct coded_rating rating;

static int setup(void **state) {
  (void)state;
  memset(&mix, 0, sizeof mix);
  return 0;
}

static void near(double value, double expected, double tolerance) {
  if (!(fabs(value - expected) <= tolerance)) fail_msg("%.12f, expected %.12f", value, expected);
}

/* `count` frames of 20 ms. */
static void add(enum codec_id codec, unsigned mode, uint64_t count, uint32_t bytes) {
  coded_add(&mix, codec_row(codec), (uint8_t)mode, count, 20000, bytes);
}

static double r_of(double ppl_pct, double burst_ratio, bool plc) {
  assert_true(coded_rate(&mix, ppl_pct, burst_ratio, plc, &rating));
  return rating.r;
}

static void one_mode(void **state) {
  (void)state;
  add(CODEC_PCMA, 0, 500, 160);
  near(r_of(0, 1, false), 93.2, 1e-12);
  near(r_of(1, 1, true), 89.5601532567, 1e-9);  /* L1 */
  near(r_of(1, 1, false), 75.2754716981, 1e-9); /* L2 */
  near(rating.bpl, 4.3, 1e-12);
  near(rating.clean, 93.2, 1e-12);
  near(rating.share[SCALE_NB], 1, 0);
  assert_true(rating.basis == IE_PUBLISHED && !rating.no_bpl && !rating.out_of_range);
  near(r_of(2, 3, false), 93.2 - 95 * 2 / (2.0 / 3 + 4.3), 1e-9); /* bursts count on this scale */
  r_of(25, 1, false);
  assert_true(rating.out_of_range);
}

/* L6: the diotic pair of 12.65, for which bursts change nothing. */
static void amr_wb_by_mode(void **state) {
  (void)state;
  static const double ie[AMR_WB_MODES] = {56, 41, 20, 10, 17, 5, 3, 8, 10};
  static const double bpl[AMR_WB_MODES] = {0, 0, 4.3, 0, 0, 0, 0, 4.6, 4.9};
  for (unsigned mode = 0; mode < AMR_WB_MODES; mode++) {
    setup(state);
    add(CODEC_AMR_WB, mode, 100, 33);
    near(r_of(0, 1, false), 129 - ie[mode], 1e-12);
    near(rating.bpl, bpl[mode], 0);
    assert_int_equal(rating.basis, IE_PUBLISHED);
    double r = r_of(2, 3, false);
    assert_int_equal(rating.no_bpl, bpl[mode] == 0);
    assert_int_equal(isnan(r), bpl[mode] == 0);
    if (mode == 2) near(r, 85.1904762, 5e-8);
  }
  setup(state);
  add(CODEC_AMR_WB, AMR_WB_MODES, 100, 33);
  assert_false(coded_rate(&mix, 0, 1, false, &rating));
}

static void wideband_containers(void **state) {
  (void)state;
  add(CODEC_L16_16K, 0, 500, 640);
  near(r_of(0, 1, false), 129, 0);
  assert_true(isnan(r_of(0.2, 1, true)) && rating.no_bpl && rating.bpl == 0);
  setup(state);
  add(CODEC_G722, 0, 500, 160);
  near(r_of(0, 1, false), 116, 0);
  near(r_of(1, 1, false), 116 - 82 / 5.3, 1e-9);
  assert_int_equal(rating.basis, IE_ASSUMED);
  setup(state);
  add(CODEC_L16_8K, 0, 500, 320);
  near(r_of(1, 1, true), 89.5601532567, 1e-9);
  assert_int_equal(rating.basis, IE_ASSUMED);
}

/* Rate control is seen by the sizes; the rate is the mean. */
static void opus_by_band_and_rate(void **state) {
  (void)state;
  add(CODEC_OPUS, OPUS_SWB, 100, 40); /* 16 kbit/s, all frames alike */
  near(r_of(0, 1, false), 148 - 36.88, 1e-12);
  add(CODEC_OPUS, OPUS_SWB, 100, 85); /* 34 kbit/s: 25 in the mean, and not constant */
  near(r_of(0, 1, false), 148 - 20.21, 1e-12);
  assert_int_equal(rating.basis, IE_LITERATURE);
  near(r_of(3, 1, false), 148 - (20.21 + (132 - 20.21) * 3 / (3 + 11.28)), 1e-9);
  near(r_of(3, 1.5, false), 148 - (20.21 + (132 - 20.21) * 3 / (3 + 11.28)), 1e-9);
  near(r_of(3, 1.51, false), 148 - (20.21 + (132 - 20.21) * 3 / (3 + 9.18)), 1e-9);
  near(rating.bpl, 9.18, 1e-12);
  setup(state);
  add(CODEC_OPUS, OPUS_NB, 10, 20); /* 8 kbit/s CBR */
  near(r_of(2, 1.4, false), 93.2 - (19.25 + (95 - 19.25) * 2 / (2 + 15.13)), 1e-9);
  near(r_of(2, 6, false), 93.2 - (19.25 + (95 - 19.25) * 2 / (2 + 10.13)), 1e-9); /* BurstR 1 */
  setup(state);
  add(CODEC_OPUS, OPUS_FB, 10, 100);
  near(r_of(0, 1, false), 148 - 15.90, 1e-12);
  assert_int_equal(rating.basis, IE_ASSUMED);
  setup(state);
  add(CODEC_OPUS, OPUS_MB, 10, 30);
  assert_false(coded_rate(&mix, 0, 1, false, &rating));
}

static void mixes_on_one_scale(void **state) {
  (void)state;
  assert_false(coded_rate(&mix, 0, 1, false, &rating));
  add(CODEC_PCMU, 0, 300, 160);
  add(CODEC_L16_16K, 0, 100, 640);
  near(r_of(0, 1, false), (3 * 93.2 + 129) / 4, 1e-9);
  near(rating.share[SCALE_NB], 0.75, 1e-12);
  near(rating.share[SCALE_WB], 0.25, 1e-12);
  assert_true(rating.bpl == 0); /* one of them has none */
  assert_true(isnan(r_of(1, 1, false)) && rating.no_bpl);
  struct coded_mix other = {0};
  coded_add(&other, codec_row(CODEC_G722), 0, 400, 20000, 160);
  coded_add(&other, codec_row(CODEC_PCMU), 0, 100, 20000, 160);
  coded_join(&other, &mix);
  assert_int_equal(other.count, 3);
  assert_true(coded_rate(&other, 0, 1, false, &rating));
  near(rating.r, (4 * 93.2 + 129 + 4 * 116) / 9, 1e-9);
  assert_int_equal(rating.basis, IE_ASSUMED);
}

/* More kinds than there is room for: the later ones are not counted, nothing else breaks. */
static void full(void **state) {
  (void)state;
  for (unsigned mode = 0; mode < AMR_WB_MODES; mode++) add(CODEC_AMR_WB, mode, 1, 60);
  for (unsigned band = 0; band < OPUS_BANDS; band++) add(CODEC_OPUS, band, 1000, 60);
  assert_int_equal(mix.count, CODED_MAX);
  add(CODEC_AMR_WB, 0, 1, 60);
  assert_int_equal(mix.sound[0].us, 40000);
}

/* Property 1 of 7.8 for every codec there is, in mixes: R never rises with loss, nor with the burst ratio,
 * also where another Bpl takes over. Property 2: a MOS in range or none. */
static void r_never_rises_with_loss(void **state) {
  for (int round = 0; round < 20000; round++) {
    setup(state);
    uint64_t kinds = 1 + seed_draw() % 3;
    for (uint64_t k = 0; k < kinds; k++) {
      enum codec_id id = (enum codec_id)(seed_draw() % CODEC_COUNT);
      unsigned mode = id == CODEC_OPUS     ? (unsigned)(seed_draw() % OPUS_BANDS)
                      : id == CODEC_AMR_WB ? (unsigned)(seed_draw() % AMR_WB_MODES)
                                           : 0;
      add(id, mode, 1 + seed_draw() % 500, (uint32_t)(10 + seed_draw() % 150));
      if (seed_draw() % 2) add(id, mode, 1, 33);
    }
    double ppl_pct = seed_between(0, 100), burst_ratio = seed_between(1, 8);
    bool plc = seed_draw() % 2;
    struct coded_rating before, lossier, burstier;
    if (!coded_rate(&mix, ppl_pct, burst_ratio, plc, &before)) continue;
    coded_rate(&mix, seed_between(ppl_pct, 100), burst_ratio, plc, &lossier);
    coded_rate(&mix, ppl_pct, seed_between(burst_ratio, 8), plc, &burstier);
    if (isnan(before.r) != before.no_bpl) SEED_FAIL("round %d: no R and no reason\n", round);
    if (before.no_bpl) continue;
    if (lossier.r > before.r + 1e-9 || burstier.r > before.r + 1e-9 || before.r > before.clean + 1e-9)
      SEED_FAIL("round %d: R %g, with more loss %g, burstier %g, clean %g\n", round, before.r, lossier.r,
                burstier.r, before.clean);
    for (int s = 0; s < MOS_SCALES; s++) {
      double mos = emodel_mos_on((enum mos_scale)s, before.r);
      if (!(mos >= 1 && mos <= 4.5)) SEED_FAIL("round %d: MOS %g\n", round, mos);
    }
    double shares = before.share[0] + before.share[1] + before.share[2];
    if (fabs(shares - 1) > 1e-9) SEED_FAIL("round %d: shares %g\n", round, shares);
  }
}

/* ---- the leg ---- */

static struct leg_codec leg(const char *name, enum codec_id stream) {
  return leg_codec_of(name, codec_row(stream));
}

static void legs_by_name(void **state) {
  (void)state;
  static const struct {
    const char *name;
    enum codec_id stream;
    enum leg_known known;
    const char *codec;
    enum ie_basis basis;
  } cases[] = {
      {NULL, CODEC_PCMU, LEG_UNKNOWN, NULL, IE_ASSUMED},
      {"", CODEC_PCMU, LEG_UNKNOWN, NULL, IE_ASSUMED},
      {"unknown", CODEC_PCMU, LEG_UNKNOWN, NULL, IE_ASSUMED},
      {"PCMU", CODEC_PCMU, LEG_SAME, NULL, IE_PUBLISHED},
      {"PCMA", CODEC_PCMU, LEG_OTHER, "G.711", IE_PUBLISHED},
      {"pcmu", CODEC_L16_16K, LEG_OTHER, "G.711", IE_PUBLISHED},
      {"G722", CODEC_L16_16K, LEG_OTHER, "G.722", IE_ASSUMED},
      {"AMR-WB~OCTET-ALIGN=0; MODE-SET=0", CODEC_L16_16K, LEG_OTHER, "AMR-WB", IE_ASSUMED},
      {"AMR-WB", CODEC_AMR_WB, LEG_SAME, NULL, IE_PUBLISHED},
      {"G729", CODEC_PCMU, LEG_OTHER, "G.729", IE_PUBLISHED},
      {"G723", CODEC_PCMU, LEG_OTHER, "G.723.1", IE_ASSUMED},
      {"GSM", CODEC_PCMU, LEG_OTHER, "GSM-FR", IE_ASSUMED},
      {"OPUS", CODEC_PCMU, LEG_UNRATED, NULL, IE_ASSUMED},
      {"AMR", CODEC_PCMU, LEG_UNRATED, NULL, IE_ASSUMED},
      {"iLBC", CODEC_PCMU, LEG_UNRATED, NULL, IE_ASSUMED},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct leg_codec l = leg(cases[i].name, cases[i].stream);
    if (l.known != cases[i].known || leg_basis(&l) != cases[i].basis)
      fail_msg("%s: known %d, %s", cases[i].name, (int)l.known, ie_basis_name(leg_basis(&l)));
    assert_int_equal(l.row == NULL, cases[i].codec == NULL);
    if (l.row != NULL) assert_string_equal(l.row->codec, cases[i].codec);
  }
}

/* A narrowband leg stays narrowband whatever carries it: 35.8 and 54.8 of 1.6. */
static void what_a_leg_takes(void **state) {
  (void)state;
  struct leg_codec l = leg("PCMU", CODEC_L16_16K);
  near(leg_impairment(&l, SCALE_NB), 0, 0);
  near(leg_impairment(&l, SCALE_WB), 35.8, 1e-12);
  near(leg_impairment(&l, SCALE_FB), 54.8, 1e-12);
  l = leg("G729", CODEC_PCMU);
  near(leg_impairment(&l, SCALE_NB), 10, 0);
  near(leg_impairment(&l, SCALE_WB), 45.8, 1e-12);
  l = leg("G722", CODEC_OPUS);
  near(leg_impairment(&l, SCALE_NB), 13, 0);
  near(leg_impairment(&l, SCALE_WB), 13, 0);
  near(leg_impairment(&l, SCALE_FB), 32, 0);
  l = leg("OPUS", CODEC_PCMU);
  near(leg_impairment(&l, SCALE_NB), 0, 0);
  l = leg("PCMU", CODEC_PCMU);
  near(leg_impairment(&l, SCALE_FB), 0, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(one_mode, setup),
      cmocka_unit_test_setup(amr_wb_by_mode, setup),
      cmocka_unit_test_setup(wideband_containers, setup),
      cmocka_unit_test_setup(opus_by_band_and_rate, setup),
      cmocka_unit_test_setup(mixes_on_one_scale, setup),
      cmocka_unit_test_setup(full, setup),
      cmocka_unit_test_setup(r_never_rises_with_loss, seed_start),
      cmocka_unit_test_setup(legs_by_name, setup),
      cmocka_unit_test_setup(what_a_leg_takes, setup),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
