#include "dsp/impairment.h"

#include <math.h>
#include <string.h>

/* Where the figures come from (voice-quality.md 2 tells more of each). */
#define app_i           "G.113 Appendix I (2007)"
#define as_g711         "as G.711 in G.113 Appendix I (2007); no row of its own"
#define recalled        "G.113, recalled and not seen again"
#define recalled_no_bpl "G.113, recalled and not seen again; Bpl is the model's default"
#define app_iv          "G.113 (09/2024) tables IV.1, IV.3, IV.4"
#define ideal           "G.107.1: the wideband channel itself"
#define evs             "G.113 (09/2024) with Erratum 1 (01/2026)"
#define alahmadi        "Alahmadi, Pocta, Melvin, ACM TOMM 17(4) 133 (2021); the scale is inferred"

/* codec, mode, context, scale, Ie, Bpl, bursty Bpl, ms of Bpl, delay ms, basis, source. */
static const struct impairment rows[] = {
    {"G.711", "", "", SCALE_NB, 0, 4.3, 0, 10, 0.125, IE_PUBLISHED, app_i},
    {"G.711", "PLC", "", SCALE_NB, 0, 25.1, 0, 10, 3.875, IE_PUBLISHED, app_i},
    /* No row in G.113: what is lost is lost as with G.711. */
    {"L16 8 kHz", "", "", SCALE_NB, 0, 4.3, 0, 10, 0, IE_ASSUMED, as_g711},
    {"L16 8 kHz", "PLC", "", SCALE_NB, 0, 25.1, 0, 10, 3.75, IE_ASSUMED, as_g711},
    {"G.729", "", "", SCALE_NB, 10, 0, 0, 10, 15, IE_PUBLISHED, app_i},
    {"G.729A", "VAD", "", SCALE_NB, 11, 19, 0, 20, 15, IE_PUBLISHED, app_i},
    {"G.723.1", "6.3 VAD", "", SCALE_NB, 15, 16.1, 0, 30, 37.5, IE_PUBLISHED, app_i},
    {"G.723.1", "5.3", "", SCALE_NB, 19, 0, 0, 30, 37.5, IE_ASSUMED, recalled},
    /* The Ie is published, the Bpl recalled: the weaker one counts. */
    {"GSM-EFR", "12.2", "", SCALE_NB, 5, 10, 0, 20, 20, IE_ASSUMED, recalled},
    {"GSM-FR", "13", "", SCALE_NB, 20, 0, 0, 20, 20, IE_ASSUMED, recalled},
    {"GSM-HR", "5.6", "", SCALE_NB, 23, 0, 0, 20, 24.4, IE_ASSUMED, recalled},
    {"G.726", "40", "", SCALE_NB, 2, 0, 0, 0, 0.25, IE_ASSUMED, recalled},
    {"G.726", "32", "", SCALE_NB, 7, 0, 0, 0, 0.25, IE_ASSUMED, recalled},
    {"G.726", "24", "", SCALE_NB, 25, 0, 0, 0, 0.25, IE_ASSUMED, recalled},
    {"G.726", "16", "", SCALE_NB, 50, 0, 0, 0, 0.25, IE_ASSUMED, recalled},
    {"G.728", "16", "", SCALE_NB, 7, 0, 0, 0, 0.625, IE_ASSUMED, recalled},
    {"IS-641", "7.4", "", SCALE_NB, 10, 0, 0, 20, 25, IE_PUBLISHED, app_i},
    /* Diotic first: that is the context of the only Bpl. 23.85 is worse than 23.05 in every table. */
    {"AMR-WB", "6.60", "diotic", SCALE_WB, 56, 0, 0, 20, 25, IE_PUBLISHED, app_iv},
    {"AMR-WB", "6.60", "monotic", SCALE_WB, 41, 0, 0, 20, 25, IE_PUBLISHED, app_iv},
    {"AMR-WB", "8.85", "diotic", SCALE_WB, 41, 0, 0, 20, 25, IE_PUBLISHED, app_iv},
    {"AMR-WB", "8.85", "monotic", SCALE_WB, 26, 0, 0, 20, 25, IE_PUBLISHED, app_iv},
    {"AMR-WB", "12.65", "diotic", SCALE_WB, 20, 4.3, 0, 20, 25, IE_PUBLISHED, app_iv},
    {"AMR-WB", "12.65", "monotic", SCALE_WB, 13, 0, 0, 20, 25, IE_PUBLISHED, app_iv},
    {"AMR-WB", "14.25", "monotic", SCALE_WB, 10, 0, 0, 20, 25, IE_PUBLISHED, app_iv},
    {"AMR-WB", "15.85", "diotic", SCALE_WB, 17, 0, 0, 20, 25, IE_PUBLISHED, app_iv},
    {"AMR-WB", "15.85", "monotic", SCALE_WB, 7, 0, 0, 20, 25, IE_PUBLISHED, app_iv},
    {"AMR-WB", "18.25", "monotic", SCALE_WB, 5, 0, 0, 20, 25, IE_PUBLISHED, app_iv},
    {"AMR-WB", "19.85", "monotic", SCALE_WB, 3, 0, 0, 20, 25, IE_PUBLISHED, app_iv},
    {"AMR-WB", "23.05", "diotic", SCALE_WB, 8, 4.6, 0, 20, 25, IE_PUBLISHED, app_iv},
    {"AMR-WB", "23.05", "monotic", SCALE_WB, 1, 0, 0, 20, 25, IE_PUBLISHED, app_iv},
    {"AMR-WB", "23.85", "diotic", SCALE_WB, 10, 4.9, 0, 20, 25, IE_PUBLISHED, app_iv},
    {"AMR-WB", "23.85", "monotic", SCALE_WB, 8, 0, 0, 20, 25, IE_PUBLISHED, app_iv},
    /* No Bpl is known; the default of the model. */
    {"G.722", "64", "monotic", SCALE_WB, 13, 4.3, 0, 0, 0, IE_ASSUMED, recalled_no_bpl},
    {"G.722", "56", "monotic", SCALE_WB, 20, 4.3, 0, 0, 0, IE_ASSUMED, recalled_no_bpl},
    {"G.722", "48", "monotic", SCALE_WB, 31, 4.3, 0, 0, 0, IE_ASSUMED, recalled_no_bpl},
    {"G.722.1", "32", "monotic", SCALE_WB, 13, 0, 0, 0, 0, IE_ASSUMED, recalled},
    {"G.722.1", "24", "monotic", SCALE_WB, 19, 0, 0, 0, 0, IE_ASSUMED, recalled},
    /* The reference that the wideband model begins with. */
    {"L16 16 kHz", "", "", SCALE_WB, 0, 0, 0, 0, 0, IE_PUBLISHED, ideal},
    {"EVS-SWB", "48", "diotic", SCALE_FB, 10.2, 9.6, 0, 20, 0, IE_PUBLISHED, evs},
    {"EVS-SWB", "32", "diotic", SCALE_FB, 8.7, 9.3, 0, 20, 0, IE_PUBLISHED, evs},
    {"EVS-SWB", "24.4", "diotic", SCALE_FB, 7.2, 11.4, 0, 20, 0, IE_PUBLISHED, evs},
    {"EVS-SWB", "16.4", "diotic", SCALE_FB, 10.8, 10.3, 0, 20, 0, IE_PUBLISHED, evs},
    {"EVS-SWB", "13.2", "diotic", SCALE_FB, 17.1, 11.7, 0, 20, 0, IE_PUBLISHED, evs},
    {"EVS-SWB", "9.6", "diotic", SCALE_FB, 22.7, 13, 0, 20, 0, IE_PUBLISHED, evs},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

const char *ie_basis_name(enum ie_basis basis) {
  static const char *const names[] = {[IE_PUBLISHED] = "published",
                                      [IE_LITERATURE] = "literature",
                                      [IE_DECLARED] = "declared",
                                      [IE_ASSUMED] = "assumed",
                                      [IE_NONE] = "none"};
  return names[basis];
}

const struct impairment *impairment_rows(size_t *count) {
  *count = ROWS;
  return rows;
}

const struct impairment *impairment_row(const char *codec, const char *mode, const char *context) {
  for (size_t i = 0; i < ROWS; i++) {
    const struct impairment *row = &rows[i];
    if (strcmp(row->codec, codec) != 0 || strcmp(row->mode, mode) != 0) continue;
    if (*context == 0 || strcmp(row->context, context) == 0) return row;
  }
  return NULL;
}

/* ---- Opus ---- */

#define OPUS(band_, scale_, mode_, cbr_, kbps_, ie_, random_, bursty_)                                      \
  {                                                                                                         \
    OPUS_##band_, cbr_, kbps_, {                                                                            \
      "Opus " #band_ " " mode_, #kbps_, "", SCALE_##scale_, ie_, random_, bursty_, 20, 26.5, IE_LITERATURE, \
          alahmadi                                                                                          \
    }                                                                                                       \
  }
#define SWB_VBR(kbps_, ie_, random_, bursty_) OPUS(SWB, FB, "VBR", false, kbps_, ie_, random_, bursty_)
#define SWB_CBR(kbps_, ie_, random_, bursty_) OPUS(SWB, FB, "CBR", true, kbps_, ie_, random_, bursty_)
#define WB_VBR(kbps_, ie_, random_, bursty_)  OPUS(WB, WB, "VBR", false, kbps_, ie_, random_, bursty_)
#define WB_CBR(kbps_, ie_, random_, bursty_)  OPUS(WB, WB, "CBR", true, kbps_, ie_, random_, bursty_)
#define NB_VBR(kbps_, ie_, random_, bursty_)  OPUS(NB, NB, "VBR", false, kbps_, ie_, random_, bursty_)
#define NB_CBR(kbps_, ie_, random_, bursty_)  OPUS(NB, NB, "CBR", true, kbps_, ie_, random_, bursty_)

/* kbit/s, Ie, random Bpl, bursty Bpl. */
static const struct opus_impairment opus[] = {
    SWB_VBR(14, 38.06, 16.51, 9.13), SWB_VBR(15, 34.12, 15.0, 7.9),   SWB_VBR(16, 30.16, 11.83, 10.06),
    SWB_VBR(19, 23.81, 10.67, 8.92), SWB_VBR(22, 20.22, 10.47, 8.57), SWB_VBR(25, 20.21, 11.28, 9.18),
    SWB_VBR(28, 18.48, 10.63, 8.91), SWB_VBR(31, 16.83, 10.44, 8.82), SWB_VBR(34, 14.76, 10.12, 8.54),
    SWB_VBR(37, 12.08, 10.38, 8.3),  SWB_VBR(40, 10.67, 9.79, 8.04),  SWB_CBR(16, 36.88, 13.3, 10.8),
    SWB_CBR(19, 29.58, 10.74, 8.93), SWB_CBR(22, 23.38, 10.01, 8.46), SWB_CBR(25, 22.64, 10.57, 8.74),
    SWB_CBR(28, 23.65, 11.67, 9.98), SWB_CBR(31, 21.74, 11.51, 9.58), SWB_CBR(34, 20.62, 11.78, 9.69),
    SWB_CBR(37, 16.23, 10.62, 8.99), SWB_CBR(40, 15.9, 11.35, 9.37),  WB_VBR(11, 28.41, 23.94, 20.12),
    WB_VBR(12, 23.3, 22.22, 18.9),   WB_VBR(13, 19.96, 19.5, 16.92),  WB_CBR(12, 29.76, 24.81, 20.78),
    WB_CBR(13, 26.16, 23.0, 19.37),  WB_CBR(14, 20.77, 17.56, 15.85), WB_CBR(15, 18.06, 18.74, 16.1),
    NB_VBR(6, 23.0, 24.56, 15.36),   NB_VBR(7, 21.26, 22.46, 14.43),  NB_VBR(8, 16.02, 20.26, 13.48),
    NB_VBR(9, 11.74, 18.91, 12.44),  NB_CBR(6, 46.27, 8.94, 5.66),    NB_CBR(7, 31.73, 18.18, 11.76),
    NB_CBR(8, 19.25, 15.13, 10.13),  NB_CBR(9, 13.21, 17.24, 11.36),  NB_CBR(10, 6.2, 15.33, 10.47),
    NB_CBR(11, 2.03, 15.95, 10.73),
};
enum { OPUS_ROWS = sizeof opus / sizeof opus[0] };

const struct opus_impairment *impairment_opus_rows(size_t *count) {
  *count = OPUS_ROWS;
  return opus;
}

const struct opus_impairment *impairment_opus(enum opus_band band, bool constant_rate, double kbps) {
  const struct opus_impairment *nearest = NULL;
  if (band == OPUS_FB) band = OPUS_SWB;
  for (size_t i = 0; i < OPUS_ROWS; i++) {
    const struct opus_impairment *row = &opus[i];
    if (row->band != band || row->constant_rate != constant_rate) continue;
    if (nearest == NULL || fabs(row->kbps - kbps) < fabs(nearest->kbps - kbps)) nearest = row;
  }
  return nearest;
}
