/* The wider scales against the reference vectors of voice-quality.md 1.9, the cases L6 and L7 of 7.3, the
 * tables of 1.3 and 1.6, and the properties of 7.8 on every scale. */
#include "tests/emodel_vectors.h"
#include "tests/seed.h"

/* The file's own constants must be those of the scale. */
static void has_constants(const struct row *row, enum mos_scale scale) {
  const struct emodel_scale *s = emodel_scale(scale);
  const char *id = cell(row, "id");
  near(id, "R0", s->ceiling, number(row, "R0"), 0);
  near(id, "Ie_cap", s->loss_constant, number(row, "Ie_cap"), 0);
  near(id, "mos_div", s->mos_divisor, number(row, "mos_div"), 0);
  if (has(row, "Idd_scale") && s->delay_coefficient > 0)
    near(id, "Idd_scale", s->delay_coefficient, number(row, "Idd_scale"), 0);
}

static int check_scale(const struct row *row, enum mos_scale scale) {
  struct emodel_inputs in = inputs_of(row);
  struct emodel_result got;
  if (!has(row, "Bpl")) in.bpl = 0; /* a codec without one: the row has no loss */
  has_constants(row, scale);
  emodel_reduced(scale, &in, &got);
  near(cell(row, "id"), "Idd", emodel_idd_on(scale, in.ta_ms), number(row, "Idd"), 1e-6);
  return expect_result(row, &got);
}

static int check_wideband(const struct row *row) {
  return check_scale(row, SCALE_WB);
}

static int check_fullband(const struct row *row) {
  return check_scale(row, SCALE_FB);
}

/* One R for three listeners. */
static int check_shift(const struct row *row) {
  double r = number(row, "R_in"), divisor = number(row, "mos_div");
  int scale = 0;
  while (scale < MOS_SCALES && emodel_scale((enum mos_scale)scale)->mos_divisor != divisor) scale++;
  assert_true(scale < MOS_SCALES);
  return expect(row, "R", r, 0) + expect(row, "MOS", emodel_mos_on((enum mos_scale)scale, r), 1e-7);
}

/* Wideband with delay, by either coefficient: shown, not judged; ours gives no result. */
static int show_undecided(const struct row *row) {
  struct emodel_inputs in = inputs_of(row);
  struct emodel_result got;
  double coefficient = number(row, "Idd_scale");
  double r = 129 - coefficient / 25 * emodel_idd(in.ta_ms, in.mt_ms, in.st) - in.ie;
  print_message("%s: Ta %g ms, coefficient %g: R %.6f (file %.6f), MOS %.6f\n", cell(row, "id"), in.ta_ms,
                coefficient, r, number(row, "R"), emodel_mos(r / 1.29));
  emodel_reduced(SCALE_WB, &in, &got);
  assert_true(isnan(got.r) && isnan(got.mos) && isnan(got.id));
  assert_int_equal(got.flags, EMODEL_NO_WB_DELAY);
  near(cell(row, "id"), "Ie_eff", got.ie_eff, number(row, "Ie_eff"), 1e-6);
  return 1;
}

static void agrees_with_every_vector(void **state) {
  (void)state;
  static const struct block blocks[] = {
      {"WBC", check_wideband, 39, 156}, {"WBU", show_undecided, 8, 8}, {"FBC", check_fullband, 62, 248},
      {"FBO", check_fullband, 12, 48},  {"SCL", check_shift, 15, 30},
  };
  run_blocks(blocks, sizeof blocks / sizeof blocks[0]);
}

/* No block of the file but those that this file and test_emodel.c run. */
static void the_file_has_no_other_rows(void **state) {
  (void)state;
  static const char known[] = " R2M M2R IDD IEF NBF NBS WBC WBU FBC FBO SCL ";
  struct row row;
  int rows = 0;
  FILE *file = open_vectors();
  while (fgets(row.line, sizeof row.line, file)) {
    char name[32];
    split(&row);
    snprintf(name, sizeof name, " %s ", cell(&row, "block"));
    if (strstr(known, name) == NULL) fail_msg("%s: no test runs block%s", cell(&row, "id"), name);
    rows++;
  }
  fclose(file);
  assert_int_equal(rows, 592);
}

static void loss_cases(void **state) {
  (void)state;
  struct emodel_inputs in = emodel_defaults;
  struct emodel_result got;
  in.ie = 20;
  in.ppl_pct = 2;
  emodel_reduced(SCALE_WB, &in, &got);
  near("L6", "Ie_eff", got.ie_eff, 43.8095238, 5e-8);
  near("L6", "R", got.r, 85.1904762, 5e-8);
  near("L6", "MOS", got.mos, 3.4062, 5e-5);
  in.ie = 10.2;
  in.ppl_pct = 0;
  emodel_reduced(SCALE_FB, &in, &got);
  near("L7", "R", got.r, 137.8, 1e-12);
  near("L7", "MOS", got.mos, 4.4075, 5e-5);
}

/* The second table of 1.6: R and its MOS on the scales; 0 where it prints none. */
static void channels_on_three_scales(void **state) {
  (void)state;
  static const struct {
    const char *name;
    enum mos_scale scale;
    double ie, bpl, ppl_pct, r, mos[MOS_SCALES];
  } channels[] = {
      {"G.711", SCALE_NB, 0, 4.3, 0, 93.20, {4.41, 3.70, 3.25}},
      {"G.711 1 %", SCALE_NB, 0, 25.1, 1, 89.56, {4.33, 3.57, 3.13}},
      {"G.722", SCALE_WB, 13, 0, 0, 116, {4.50, 4.34, 3.96}},
      {"AMR-WB 23.85", SCALE_WB, 8, 0, 0, 121, {0, 4.42, 4.09}},
      {"ideal", SCALE_WB, 0, 0, 0, 129, {0, 4.50, 4.26}},
      {"Opus", SCALE_FB, 20.21, 0, 0, 127.79, {0, 0, 4.24}},
      {"EVS", SCALE_FB, 7.2, 0, 0, 140.8, {0, 0, 4.44}},
  };
  for (size_t i = 0; i < sizeof channels / sizeof channels[0]; i++) {
    struct emodel_inputs in = emodel_defaults;
    struct emodel_result got;
    in.ie = channels[i].ie;
    in.bpl = channels[i].bpl;
    in.ppl_pct = channels[i].ppl_pct;
    emodel_reduced(channels[i].scale, &in, &got);
    near(channels[i].name, "R", got.r, channels[i].r, 5e-3);
    for (int s = 0; s < MOS_SCALES; s++)
      if (channels[i].mos[s] > 0)
        near(channels[i].name, "MOS", emodel_mos_on((enum mos_scale)s, got.r), channels[i].mos[s], 6e-3);
  }
}

static void narrowband_is_the_same_in_both_files(void **state) {
  (void)state;
  for (int i = 0; i < 200; i++) {
    struct emodel_inputs in = emodel_defaults;
    struct emodel_result a, b;
    in.ie = i % 40;
    in.bpl = 4.3 + i % 7;
    in.ppl_pct = i * 0.1;
    in.burst_ratio = 1 + i % 5;
    in.ta_ms = i * 3;
    emodel_reduced_nb(&in, EMODEL_ID_ABSOLUTE, &a);
    emodel_reduced(SCALE_NB, &in, &b);
    assert_true(a.r == b.r && a.mos == b.mos && a.ie_eff == b.ie_eff && a.id == b.id);
    assert_true(emodel_mos_on(SCALE_NB, a.r) == emodel_mos(a.r));
  }
}

static void names_of_the_scales(void **state) {
  (void)state;
  static const char *const names[][4] = {{"nb", "G.107", "MOS-LQEN", "MOS-CQEN"},
                                         {"wb", "G.107.1", "MOS-LQEW", "MOS-CQEW"},
                                         {"fb", "G.107.2", "MOS-LQEF", "MOS-CQEF"}};
  for (int i = 0; i < MOS_SCALES; i++) {
    const struct emodel_scale *s = emodel_scale((enum mos_scale)i);
    assert_string_equal(s->name, names[i][0]);
    assert_string_equal(s->model, names[i][1]);
    assert_string_equal(s->mos_lq, names[i][2]);
    assert_string_equal(s->mos_cq, names[i][3]);
  }
}

/* 1.5 and 1.6 on the wider scales. */
static void hygiene(void **state) {
  (void)state;
  for (int i = 0; i < MOS_SCALES; i++) {
    enum mos_scale scale = (enum mos_scale)i;
    struct emodel_inputs in = emodel_defaults;
    struct emodel_result got;
    in.bpl = 0;
    emodel_reduced(scale, &in, &got);
    assert_true(got.r == emodel_scale(scale)->ceiling && got.flags == 0);
    in.ppl_pct = 0.1;
    emodel_reduced(scale, &in, &got);
    assert_true(isnan(got.r) && isnan(got.mos) && got.flags == EMODEL_NO_BPL);
    in.bpl = 4.3;
    in.ppl_pct = 30;
    emodel_reduced(scale, &in, &got);
    assert_int_equal(got.flags, EMODEL_OUT_OF_RANGE);
    in.ie = NAN;
    emodel_reduced(scale, &in, &got);
    assert_true(isnan(got.r) && isnan(got.ro) && got.flags == EMODEL_NOT_FINITE);
    in.ie = 0;
    in.ta_ms = INFINITY;
    emodel_reduced(scale, &in, &got);
    assert_true(isnan(got.mos) && got.flags == EMODEL_NOT_FINITE);
    assert_true(isnan(emodel_idd_on(scale, NAN)) && isnan(emodel_mos_on(scale, INFINITY)));
    assert_true(emodel_idd_on(scale, 100) == 0);
  }
  assert_true(isnan(emodel_idd_on(SCALE_WB, 100.001)));
  near("FB", "Idd", emodel_idd_on(SCALE_FB, 250), 1.48 * emodel_idd(250, 100, 1), 1e-12);
}

/* ---- properties 1 and 2 of 7.8 ---- */

static void one_rises(enum mos_scale scale, const struct emodel_inputs *base, size_t offset, double by,
                      int direction) {
  struct emodel_inputs more = *base;
  struct emodel_result from, to;
  double *value = (double *)(void *)((char *)&more + offset);
  *value += by;
  emodel_reduced(scale, base, &from);
  emodel_reduced(scale, &more, &to);
  bool holds = (to.r - from.r) * direction >= -1e-9 && (to.mos - from.mos) * direction >= -1e-9 &&
               to.mos >= 1 && to.mos <= 4.5 && from.mos >= 1 && from.mos <= 4.5;
  if (!holds)
    SEED_FAIL("scale %d, input %zu by %.17g: R %.17g to %.17g, MOS %.17g to %.17g\n", (int)scale,
              offset / sizeof(double), by, from.r, to.r, from.mos, to.mos);
}

static void rating_moves_one_way(void **state) {
  (void)state;
  for (int i = 0; i < 20000; i++) {
    enum mos_scale scale = (enum mos_scale)(seed_draw() % MOS_SCALES);
    struct emodel_inputs in = emodel_defaults;
    in.ie = seed_between(0, 60);
    in.bpl = seed_between(0.5, 40);
    in.ppl_pct = seed_between(0, 100);
    in.burst_ratio = seed_between(1, 8);
    in.ta_ms = seed_between(0, scale == SCALE_WB ? 50 : 600);
    one_rises(scale, &in, offsetof(struct emodel_inputs, ppl_pct), seed_between(0, 100 - in.ppl_pct), -1);
    one_rises(scale, &in, offsetof(struct emodel_inputs, burst_ratio), seed_between(0, 8 - in.burst_ratio),
              -1);
    one_rises(scale, &in, offsetof(struct emodel_inputs, bpl), seed_between(0, 20), +1);
    one_rises(scale, &in, offsetof(struct emodel_inputs, ta_ms), seed_between(0, 50), -1);
    double burst_ratio = scale == SCALE_NB ? in.burst_ratio : 1;
    if (in.ppl_pct / (in.ppl_pct / burst_ratio + in.bpl) <= 1)
      one_rises(scale, &in, offsetof(struct emodel_inputs, ie), seed_between(0, 30), -1);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(agrees_with_every_vector),
      cmocka_unit_test(the_file_has_no_other_rows),
      cmocka_unit_test(loss_cases),
      cmocka_unit_test(channels_on_three_scales),
      cmocka_unit_test(narrowband_is_the_same_in_both_files),
      cmocka_unit_test(names_of_the_scales),
      cmocka_unit_test(hygiene),
      cmocka_unit_test_setup(rating_moves_one_way, seed_start),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
