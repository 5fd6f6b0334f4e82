/* dsp/emodel.c against the reference vectors of voice-quality.md 1.9, the loss cases of 7.3, and the
 * properties of 7.8. */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/emodel_vectors.h"
#include "tests/seed.h"

static int check_rating(const struct row *row) {
  double r = number(row, "R_in");
  return expect(row, "R", r, 0) + expect(row, "MOS", emodel_mos(r), 1e-7) +
         expect(row, "GoB_pct", emodel_gob_pct(r), 1e-6) + expect(row, "PoW_pct", emodel_pow_pct(r), 1e-6);
}

static int check_inverse(const struct row *row) {
  double r = emodel_r_of_mos(number(row, "MOS_in"));
  return expect(row, "R", r, 1e-6) + expect(row, "MOS", emodel_mos(r), 1e-7);
}

static int check_delay(const struct row *row) {
  double idd = emodel_idd(number(row, "Ta_ms"), number(row, "mT_ms"), number(row, "sT"));
  return expect(row, "Idd", idd, 1e-6);
}

static int check_loss(const struct row *row) {
  double ie_eff = emodel_ie_eff(number(row, "Ie"), number(row, "Bpl"), number(row, "Ppl_pct"),
                                number(row, "BurstR"), number(row, "Ie_cap"));
  return expect(row, "Ie_eff", ie_eff, 1e-6);
}

static int check_full(const struct row *row) {
  struct emodel_inputs in = inputs_of(row);
  struct emodel_result got;
  emodel_full(&in, &got);
  return expect_result(row, &got);
}

static int check_reduced(const struct row *row) {
  struct emodel_inputs in = inputs_of(row);
  struct emodel_result got;
  emodel_reduced_nb(&in, EMODEL_ID_ABSOLUTE, &got);
  near(cell(row, "id"), "R0", got.ro, number(row, "R0"), 0);
  return expect_result(row, &got);
}

static const struct block blocks[] = {
    {"R2M", check_rating, 26, 104}, {"M2R", check_inverse, 20, 40}, {"IDD", check_delay, 51, 51},
    {"IEF", check_loss, 210, 210},  {"NBF", check_full, 64, 448},   {"NBS", check_reduced, 85, 425},
};

static void agrees_with_every_vector(void **state) {
  (void)state;
  run_blocks(blocks, sizeof blocks / sizeof blocks[0]);
}

/* voice-quality.md 1.1 prints them. */
static void defaults_give_the_printed_figures(void **state) {
  (void)state;
  struct emodel_result got;
  emodel_full(&emodel_defaults, &got);
  near("defaults", "Ro", got.ro, 94.768821579363, 1e-11);
  near("defaults", "Is", got.is, 1.413568131149, 1e-11);
  near("defaults", "Id", got.id, EMODEL_DEFAULT_ID, 1e-11);
  near("defaults", "Idle", got.idle, EMODEL_DEFAULT_ID, 1e-11);
  near("defaults", "R", got.r, 93.206207723276, 1e-11);
  near("defaults", "MOS", got.mos, 4.409405954, 1e-9);
  assert_int_equal(got.flags, 0);
}

/* The table of 1.2; the third column is what echo adds. */
static void both_meanings_of_id(void **state) {
  (void)state;
  static const double table[][3] = {
      {50, 0.0000, 1.4500},    {100, 0.0000, 2.5425},   {150, 0.1635, 3.6671},
      {177.3, 1.1721, 5.1543}, {200, 3.0444, 7.4015},   {250, 8.9167, 14.0291},
      {300, 14.7607, 20.5398}, {400, 24.0701, 30.9594}, {500, 30.6359, 38.4030},
  };
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    struct emodel_inputs in = emodel_defaults;
    struct emodel_result absolute, full;
    char what[32];
    in.ta_ms = table[i][0];
    snprintf(what, sizeof what, "Ta %g", in.ta_ms);
    emodel_reduced_nb(&in, EMODEL_ID_ABSOLUTE, &absolute);
    emodel_reduced_nb(&in, EMODEL_ID_FULL, &full);
    near(what, "absolute Id", absolute.id, table[i][1], 5e-5);
    near(what, "full Id", full.id, table[i][2], 5e-5);
    near(what, "R", full.r, 93.2 - full.id, 1e-12);
    assert_true(absolute.flags == 0 && full.flags == 0);
  }
}

static void loss_cases(void **state) {
  (void)state;
  static const struct {
    const char *name;
    double bpl, ppl_pct, ta_ms, r, mos, r_tolerance, mos_tolerance;
  } cases[] = {
      {"L1", 25.1, 1, 0, 89.5601532567, 4.3280753823, 1e-9, 1e-9},
      {"L2", 4.3, 1, 0, 75.2754716981, 3.8336511752, 1e-9, 1e-9},
      {"L3 150", 25.1, 1, 150, 89.40, 4.32, 5e-3, 5e-3},
      {"L3 250", 25.1, 1, 250, 80.64, 4.05, 5e-3, 5e-3},
      {"L3 400", 25.1, 1, 400, 65.49, 3.38, 5e-3, 5e-3},
      {"L4", 25.1, 5, 0, 77.42, 3.92, 5e-3, 5e-3},
      {"L5", 25.1, 10, 0, 66.13, 3.41, 5e-3, 5e-3},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct emodel_inputs in = emodel_defaults;
    struct emodel_result got;
    in.bpl = cases[i].bpl;
    in.ppl_pct = cases[i].ppl_pct;
    in.ta_ms = cases[i].ta_ms;
    emodel_reduced_nb(&in, EMODEL_ID_ABSOLUTE, &got);
    near(cases[i].name, "R", got.r, cases[i].r, cases[i].r_tolerance);
    near(cases[i].name, "MOS", got.mos, cases[i].mos, cases[i].mos_tolerance);
  }
}

static void hygiene_of_the_loss_term(void **state) {
  (void)state;
  const double nb = EMODEL_LOSS_CONSTANT_NB;
  assert_true(emodel_ie_eff(11, 19, 0, 1, nb) == 11);
  assert_true(emodel_ie_eff(11, 0, 0, 8, nb) == 11);
  assert_int_equal(emodel_ie_eff_flags(11, 0, 0, 8, nb), 0);
  assert_true(isnan(emodel_ie_eff(0, 0, 0.1, 1, nb)));
  assert_int_equal(emodel_ie_eff_flags(0, 0, 0.1, 1, nb), EMODEL_NO_BPL);
  assert_true(emodel_ie_eff(-5, 19, 0, 1, nb) == 0);
  assert_int_equal(emodel_ie_eff_flags(-5, 19, 0, 1, nb), EMODEL_CLAMPED);
  near("Ie", "upper clamp", emodel_ie_eff(200, 19, 0, 1, nb), 94.9, 1e-12);
  near("Ie", "upper clamp", emodel_ie_eff(200, 19, 0, 1, EMODEL_LOSS_CONSTANT_FB), 131.9, 1e-12);
  assert_int_equal(emodel_ie_eff_flags(0, 4.3, 20, 8, nb), 0);
  assert_int_equal(emodel_ie_eff_flags(0, 4.3, 20.5, 1, nb), EMODEL_OUT_OF_RANGE);
  const unsigned both = EMODEL_OUT_OF_RANGE | EMODEL_CLAMPED;
  assert_int_equal(emodel_ie_eff_flags(0, 4.3, 101, 1, nb), both);
  assert_int_equal(emodel_ie_eff_flags(0, 4.3, -1, 1, nb), both);
  assert_int_equal(emodel_ie_eff_flags(0, 4.3, 5, 9, nb), both);
  assert_int_equal(emodel_ie_eff_flags(0, 4.3, 5, 0, nb), both);
  assert_true(emodel_ie_eff(0, 4.3, 150, 1, nb) == emodel_ie_eff(0, 4.3, 100, 1, nb));
  assert_true(emodel_ie_eff(0, 4.3, -3, 1, nb) == 0);
  assert_true(emodel_ie_eff(0, 4.3, 5, 99, nb) == emodel_ie_eff(0, 4.3, 5, 8, nb));
  assert_true(emodel_ie_eff(0, 4.3, 5, 0, nb) == emodel_ie_eff(0, 4.3, 5, 1, nb));
}

static void flags_of_the_models(void **state) {
  (void)state;
  struct emodel_inputs in = emodel_defaults;
  struct emodel_result got;
  in.ppl_pct = 25;
  emodel_reduced_nb(&in, EMODEL_ID_ABSOLUTE, &got);
  assert_int_equal(got.flags, EMODEL_OUT_OF_RANGE);
  in.ppl_pct = 1;
  in.bpl = 0;
  emodel_reduced_nb(&in, EMODEL_ID_ABSOLUTE, &got);
  assert_int_equal(got.flags, EMODEL_NO_BPL);
  assert_true(isnan(got.r) && isnan(got.mos) && isnan(got.ie_eff) && got.id == 0);
  in = emodel_defaults;
  in.stmr_db = 22;
  emodel_full(&in, &got);
  assert_int_equal(got.flags, EMODEL_OUT_OF_RANGE);
  in.stmr_db = -1;
  emodel_full(&in, &got);
  assert_int_equal(got.flags, EMODEL_OUT_OF_RANGE | EMODEL_CLAMPED);
  /* What the reduced form does not read cannot spoil it. */
  in.slr_db = NAN;
  in.telr_db = INFINITY;
  emodel_reduced_nb(&in, EMODEL_ID_ABSOLUTE, &got);
  assert_true(got.flags == 0 && got.r == 93.2);
  emodel_reduced_nb(&in, EMODEL_ID_FULL, &got);
  assert_true(got.flags == EMODEL_NOT_FINITE && isnan(got.r));
}

/* Where no vector goes: a loud sidetone masks talker echo, and no echo is felt within 1 ms. The figure is
 * from a separate calculation of the formulas of 1.1. */
static void talker_echo_at_its_corners(void **state) {
  (void)state;
  struct emodel_inputs in = emodel_defaults;
  struct emodel_result got;
  in.stmr_db = 8;
  in.t_ms = 100;
  in.telr_db = 45;
  emodel_full(&in, &got);
  near("STMR 8", "Idte", got.idte, 22.127538171563, 1e-9);
  in.t_ms = 0.999;
  emodel_full(&in, &got);
  assert_true(got.idte == 0);
  in.t_ms = 1;
  emodel_full(&in, &got);
  assert_true(got.idte > 0);
}

static void scalars_refuse_what_is_not_finite(void **state) {
  (void)state;
  static const double bad[] = {NAN, INFINITY, -INFINITY};
  for (size_t i = 0; i < 3; i++) {
    assert_true(isnan(emodel_mos(bad[i])));
    assert_true(isnan(emodel_r_of_mos(bad[i])));
    assert_true(isnan(emodel_gob_pct(bad[i])));
    assert_true(isnan(emodel_pow_pct(bad[i])));
    assert_true(isnan(emodel_idd(bad[i], 100, 1)));
    assert_true(isnan(emodel_idd(200, bad[i], 1)));
    assert_true(isnan(emodel_idd(200, 100, bad[i])));
    assert_true(isnan(emodel_ie_eff(0, 4.3, 1, 1, bad[i])));
    assert_int_equal(emodel_ie_eff_flags(0, bad[i], 1, 1, 95), EMODEL_NOT_FINITE);
  }
  near("M2R", "below", emodel_r_of_mos(0.5), 6.5153077165, 1e-6);
  near("M2R", "above", emodel_r_of_mos(5), 100, 1e-6);
}

/* ---- properties of 7.8 ---- */

#define CHECK_SEEDED(condition_, ...)          \
  do {                                         \
    if (!(condition_)) SEED_FAIL(__VA_ARGS__); \
  } while (0)

static double r_of(const struct emodel_inputs *in, enum emodel_id id) {
  struct emodel_result got;
  emodel_reduced_nb(in, id, &got);
  return got.r;
}

/* How R may go when one input rises: +1 or -1. Rounding may undo 1e-9. */
static void one_rises(const struct emodel_inputs *base, size_t offset, double by, int direction,
                      enum emodel_id id) {
  struct emodel_inputs more = *base;
  double *value = (double *)(void *)((char *)&more + offset);
  double before = *value;
  *value += by;
  double from = r_of(base, id), to = r_of(&more, id);
  CHECK_SEEDED((to - from) * direction >= -1e-9, "input %zu from %.17g to %.17g: R from %.17g to %.17g\n",
               offset / sizeof(double), before, *value, from, to);
  CHECK_SEEDED((emodel_mos(to) - emodel_mos(from)) * direction >= -1e-9, "MOS of R %.17g and %.17g\n", from,
               to);
}

static void rating_moves_one_way(void **state) {
  (void)state;
  for (int i = 0; i < 20000; i++) {
    struct emodel_inputs in = emodel_defaults;
    in.ie = seed_between(0, 60);
    in.bpl = seed_between(0.5, 40);
    in.ppl_pct = seed_between(0, 100);
    in.burst_ratio = seed_between(1, 8);
    in.ta_ms = seed_between(1, 600);
    in.telr_db = seed_between(15, 65);
    enum emodel_id id = seed_draw() & 1 ? EMODEL_ID_FULL : EMODEL_ID_ABSOLUTE;
    one_rises(&in, offsetof(struct emodel_inputs, ppl_pct), seed_between(0, 100 - in.ppl_pct), -1, id);
    one_rises(&in, offsetof(struct emodel_inputs, burst_ratio), seed_between(0, 8 - in.burst_ratio), -1, id);
    one_rises(&in, offsetof(struct emodel_inputs, bpl), seed_between(0, 20), +1, id);
    one_rises(&in, offsetof(struct emodel_inputs, ta_ms), seed_between(0, 100), -1, id);
    if (in.ppl_pct / (in.ppl_pct / in.burst_ratio + in.bpl) <= 1)
      one_rises(&in, offsetof(struct emodel_inputs, ie), seed_between(0, 30), -1, id);
  }
}

/* Any finite number of any size, common sizes most often. */
static double any_finite(void) {
  double size = seed_draw() % 4 ? seed_between(-3, 4) : seed_between(-300, 308);
  return (seed_draw() & 1 ? 1 : -1) * pow(10, size);
}

static void finite_in_finite_out(void **state) {
  (void)state;
  enum { INPUTS = sizeof(struct emodel_inputs) / sizeof(double) };
  static const double bad[] = {NAN, INFINITY, -INFINITY};
  for (int i = 0; i < 50000; i++) {
    struct emodel_inputs in = emodel_defaults;
    double *values = (double *)(void *)&in;
    for (int k = 0; k < INPUTS; k++)
      if (seed_draw() & 1) values[k] = any_finite();
    in.bpl = fabs(in.bpl);
    struct emodel_result got[3];
    emodel_full(&in, &got[0]);
    emodel_reduced_nb(&in, EMODEL_ID_ABSOLUTE, &got[1]);
    emodel_reduced_nb(&in, EMODEL_ID_FULL, &got[2]);
    for (int k = 0; k < 3; k++)
      CHECK_SEEDED(got[k].mos >= 1 && got[k].mos <= 4.5 && isfinite(got[k].r),
                   "round %d form %d: R %g MOS %g\n", i, k, got[k].r, got[k].mos);
    values[seed_draw() % INPUTS] = bad[seed_draw() % 3];
    emodel_full(&in, &got[0]);
    CHECK_SEEDED(got[0].flags == EMODEL_NOT_FINITE && isnan(got[0].mos) && isnan(got[0].ro), "round %d\n", i);
    double r = any_finite();
    CHECK_SEEDED(emodel_mos(r) >= 1 && emodel_mos(r) <= 4.5, "R %.17g\n", r);
  }
}

static void inverse_returns(void **state) {
  (void)state;
  for (int i = 0; i < 100000; i++) {
    double r = seed_between(6.6, 99.9);
    CHECK_SEEDED(fabs(emodel_r_of_mos(emodel_mos(r)) - r) <= 1e-6, "R %.17g comes back as %.17g\n", r,
                 emodel_r_of_mos(emodel_mos(r)));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(agrees_with_every_vector),
      cmocka_unit_test(defaults_give_the_printed_figures),
      cmocka_unit_test(both_meanings_of_id),
      cmocka_unit_test(loss_cases),
      cmocka_unit_test(hygiene_of_the_loss_term),
      cmocka_unit_test(flags_of_the_models),
      cmocka_unit_test(talker_echo_at_its_corners),
      cmocka_unit_test(scalars_refuse_what_is_not_finite),
      cmocka_unit_test_setup(rating_moves_one_way, seed_start),
      cmocka_unit_test_setup(finite_in_finite_out, seed_start),
      cmocka_unit_test_setup(inverse_returns, seed_start),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
