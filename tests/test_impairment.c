/* dsp/impairment.c against the tables of voice-quality.md 2, typed again here. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "dsp/impairment.h"

/* Bpl 0: the table has none. `mark`: how far the text trusts it; R (recalled) and A (assumed) are not
 * verified, and must be published as assumed. */
static const struct {
  const char *codec, *mode, *context;
  enum mos_scale scale;
  double ie, bpl, bpl_frame_ms, delay_ms;
  char mark;
} table[] = {
    {"G.711", "", "", SCALE_NB, 0, 4.3, 10, 0.125, '2'},
    {"G.711", "PLC", "", SCALE_NB, 0, 25.1, 10, 3.875, '2'},
    {"L16 8 kHz", "", "", SCALE_NB, 0, 4.3, 10, 0, 'A'},
    {"L16 8 kHz", "PLC", "", SCALE_NB, 0, 25.1, 10, 3.75, 'A'},
    {"G.729", "", "", SCALE_NB, 10, 0, 10, 15, '2'},
    {"G.729A", "VAD", "", SCALE_NB, 11, 19.0, 20, 15, '2'},
    {"G.723.1", "6.3 VAD", "", SCALE_NB, 15, 16.1, 30, 37.5, '2'},
    {"G.723.1", "5.3", "", SCALE_NB, 19, 0, 30, 37.5, 'R'},
    {"GSM-EFR", "12.2", "", SCALE_NB, 5, 10.0, 20, 20, 'R'},
    {"GSM-FR", "13", "", SCALE_NB, 20, 0, 20, 20, 'R'},
    {"GSM-HR", "5.6", "", SCALE_NB, 23, 0, 20, 24.4, 'R'},
    {"G.726", "40", "", SCALE_NB, 2, 0, 0, 0.25, 'R'},
    {"G.726", "32", "", SCALE_NB, 7, 0, 0, 0.25, 'R'},
    {"G.726", "24", "", SCALE_NB, 25, 0, 0, 0.25, 'R'},
    {"G.726", "16", "", SCALE_NB, 50, 0, 0, 0.25, 'R'},
    {"G.728", "16", "", SCALE_NB, 7, 0, 0, 0.625, 'R'},
    {"IS-641", "7.4", "", SCALE_NB, 10, 0, 20, 25, '2'},
    {"AMR-WB", "6.60", "monotic", SCALE_WB, 41, 0, 20, 25, '2'},
    {"AMR-WB", "6.60", "diotic", SCALE_WB, 56, 0, 20, 25, '2'},
    {"AMR-WB", "8.85", "monotic", SCALE_WB, 26, 0, 20, 25, '2'},
    {"AMR-WB", "8.85", "diotic", SCALE_WB, 41, 0, 20, 25, '2'},
    {"AMR-WB", "12.65", "monotic", SCALE_WB, 13, 0, 20, 25, '2'},
    {"AMR-WB", "12.65", "diotic", SCALE_WB, 20, 4.3, 20, 25, '2'},
    {"AMR-WB", "14.25", "monotic", SCALE_WB, 10, 0, 20, 25, '2'},
    {"AMR-WB", "15.85", "monotic", SCALE_WB, 7, 0, 20, 25, '2'},
    {"AMR-WB", "15.85", "diotic", SCALE_WB, 17, 0, 20, 25, '2'},
    {"AMR-WB", "18.25", "monotic", SCALE_WB, 5, 0, 20, 25, '2'},
    {"AMR-WB", "19.85", "monotic", SCALE_WB, 3, 0, 20, 25, '2'},
    {"AMR-WB", "23.05", "monotic", SCALE_WB, 1, 0, 20, 25, '2'},
    {"AMR-WB", "23.05", "diotic", SCALE_WB, 8, 4.6, 20, 25, '2'},
    {"AMR-WB", "23.85", "monotic", SCALE_WB, 8, 0, 20, 25, '2'},
    {"AMR-WB", "23.85", "diotic", SCALE_WB, 10, 4.9, 20, 25, '2'},
    {"G.722", "64", "monotic", SCALE_WB, 13, 4.3, 0, 0, 'A'},
    {"G.722", "56", "monotic", SCALE_WB, 20, 4.3, 0, 0, 'A'},
    {"G.722", "48", "monotic", SCALE_WB, 31, 4.3, 0, 0, 'A'},
    {"G.722.1", "32", "monotic", SCALE_WB, 13, 0, 0, 0, 'R'},
    {"G.722.1", "24", "monotic", SCALE_WB, 19, 0, 0, 0, 'R'},
    {"L16 16 kHz", "", "", SCALE_WB, 0, 0, 0, 0, '2'},
    {"EVS-SWB", "48", "diotic", SCALE_FB, 10.2, 9.6, 20, 0, 'V'},
    {"EVS-SWB", "32", "diotic", SCALE_FB, 8.7, 9.3, 20, 0, 'V'},
    {"EVS-SWB", "24.4", "diotic", SCALE_FB, 7.2, 11.4, 20, 0, 'V'},
    {"EVS-SWB", "16.4", "diotic", SCALE_FB, 10.8, 10.3, 20, 0, 'V'},
    {"EVS-SWB", "13.2", "diotic", SCALE_FB, 17.1, 11.7, 20, 0, 'V'},
    {"EVS-SWB", "9.6", "diotic", SCALE_FB, 22.7, 13, 20, 0, 'V'},
};
enum { TABLE = sizeof table / sizeof table[0] };

static void every_row_of_the_table(void **state) {
  (void)state;
  size_t count;
  impairment_rows(&count);
  assert_int_equal(count, TABLE);
  for (size_t i = 0; i < TABLE; i++) {
    const struct impairment *row = impairment_row(table[i].codec, table[i].mode, table[i].context);
    if (row == NULL) fail_msg("no row %s %s %s", table[i].codec, table[i].mode, table[i].context);
    bool same = row->scale == table[i].scale && row->ie == table[i].ie && row->bpl == table[i].bpl &&
                row->bpl_frame_ms == table[i].bpl_frame_ms && row->delay_ms == table[i].delay_ms;
    if (!same || row->bpl_bursty != 0) fail_msg("%s %s %s differs", row->codec, row->mode, row->context);
    bool verified = table[i].mark == '2' || table[i].mark == 'V';
    if (row->basis != (verified ? IE_PUBLISHED : IE_ASSUMED))
      fail_msg("%s %s: %s", row->codec, row->mode, ie_basis_name(row->basis));
    assert_true(strlen(row->source) > 0);
  }
}

/* "kbit/s: Ie / Bpl random / Bpl bursty", as 2.4 prints them. */
static const struct {
  enum opus_band band;
  bool constant_rate;
  enum mos_scale scale;
  const char *text;
} opus[] = {
    {OPUS_SWB, false, SCALE_FB,
     "14: 38.06/16.51/9.13; 15: 34.12/15/7.9; 16: 30.16/11.83/10.06; 19: 23.81/10.67/8.92; "
     "22: 20.22/10.47/8.57; 25: 20.21/11.28/9.18; 28: 18.48/10.63/8.91; 31: 16.83/10.44/8.82; "
     "34: 14.76/10.12/8.54; 37: 12.08/10.38/8.30; 40: 10.67/9.79/8.04"},
    {OPUS_SWB, true, SCALE_FB,
     "16: 36.88/13.30/10.80; 19: 29.58/10.74/8.93; 22: 23.38/10.01/8.46; 25: 22.64/10.57/8.74; "
     "28: 23.65/11.67/9.98; 31: 21.74/11.51/9.58; 34: 20.62/11.78/9.69; 37: 16.23/10.62/8.99; "
     "40: 15.90/11.35/9.37"},
    {OPUS_WB, false, SCALE_WB, "11: 28.41/23.94/20.12; 12: 23.30/22.22/18.90; 13: 19.96/19.50/16.92"},
    {OPUS_WB, true, SCALE_WB,
     "12: 29.76/24.81/20.78; 13: 26.16/23.00/19.37; 14: 20.77/17.56/15.85; 15: 18.06/18.74/16.10"},
    {OPUS_NB, false, SCALE_NB,
     "6: 23.00/24.56/15.36; 7: 21.26/22.46/14.43; 8: 16.02/20.26/13.48; 9: 11.74/18.91/12.44"},
    {OPUS_NB, true, SCALE_NB,
     "6: 46.27/8.94/5.66; 7: 31.73/18.18/11.76; 8: 19.25/15.13/10.13; 9: 13.21/17.24/11.36; "
     "10: 6.20/15.33/10.47; 11: 2.03/15.95/10.73"},
};

static void every_row_of_opus(void **state) {
  (void)state;
  size_t count, seen = 0;
  impairment_opus_rows(&count);
  for (size_t i = 0; i < sizeof opus / sizeof opus[0]; i++) {
    for (const char *at = opus[i].text; at != NULL; at = strstr(at, "; ") ? strstr(at, "; ") + 2 : NULL) {
      double kbps, ie, bpl, bursty;
      assert_int_equal(sscanf(at, "%lf: %lf/%lf/%lf", &kbps, &ie, &bpl, &bursty), 4);
      const struct opus_impairment *row = impairment_opus(opus[i].band, opus[i].constant_rate, kbps);
      assert_non_null(row);
      const struct impairment *c = &row->impairment;
      bool same = row->kbps == kbps && c->ie == ie && c->bpl == bpl && c->bpl_bursty == bursty &&
                  c->scale == opus[i].scale && c->basis == IE_LITERATURE && c->delay_ms == 26.5;
      if (!same || atof(c->mode) != kbps) fail_msg("%s %s differs", c->codec, c->mode);
      seen++;
    }
  }
  assert_int_equal(seen, count);
}

static double opus_kbps(enum opus_band band, bool constant_rate, double kbps) {
  return impairment_opus(band, constant_rate, kbps)->kbps;
}

static void nearest_rate_and_no_further(void **state) {
  (void)state;
  assert_true(opus_kbps(OPUS_SWB, false, 17.4) == 16);
  assert_true(opus_kbps(OPUS_SWB, false, 17.6) == 19);
  assert_true(opus_kbps(OPUS_SWB, false, 510) == 40);
  assert_true(opus_kbps(OPUS_SWB, false, 6) == 14);
  assert_true(opus_kbps(OPUS_WB, true, 24) == 15);
  assert_true(opus_kbps(OPUS_NB, true, 11) == 11);
  assert_true(opus_kbps(OPUS_NB, false, 11) == 9);
  assert_true(opus_kbps(OPUS_FB, true, 25) == 25);
  assert_ptr_equal(impairment_opus(OPUS_FB, false, 31), impairment_opus(OPUS_SWB, false, 31));
  assert_null(impairment_opus(OPUS_MB, false, 10));
}

/* Nobody rated these: no neighbour's figures are borrowed. */
static void codecs_without_figures(void **state) {
  (void)state;
  static const char *const none[] = {"AMR", "AMR-NB", "iLBC", "Speex", "SILK", "L8", "Opus"};
  for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) assert_null(impairment_row(none[i], "", ""));
  assert_null(impairment_row("AMR-WB", "14.25", "diotic"));
  assert_string_equal(impairment_row("AMR-WB", "12.65", "")->context, "diotic");
}

static void names_of_the_basis(void **state) {
  (void)state;
  assert_string_equal(ie_basis_name(IE_PUBLISHED), "published");
  assert_string_equal(ie_basis_name(IE_LITERATURE), "literature");
  assert_string_equal(ie_basis_name(IE_DECLARED), "declared");
  assert_string_equal(ie_basis_name(IE_ASSUMED), "assumed");
  assert_string_equal(ie_basis_name(IE_NONE), "none");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_row_of_the_table),      cmocka_unit_test(every_row_of_opus),
      cmocka_unit_test(nearest_rate_and_no_further), cmocka_unit_test(codecs_without_figures),
      cmocka_unit_test(names_of_the_basis),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
