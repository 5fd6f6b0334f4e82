/* How well the voice detector hears on $SIDETONE_SHARED/data/audio: each clip as 8 kHz mu-law mono,
 * 10 ms cells, settled output as it is (speech-metrics.md 15). Prints the table; two figures are
 * required. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <samplerate.h>
#include <sndfile.h>

#include "dsp/g711.h"
#include "dsp/vad.h"

static const double BALANCED_ACCURACY_REQUIRED = 0.80, FALSE_ALARM_ALLOWED = 0.30;

enum { COLUMNS = 7, PATH_BYTES = 1024, LINE_BYTES = 4096, SOURCES_MAX = 24 };
enum column { SOURCE, CLIP, KIND, AUDIO, LABEL, FORMAT, ARG };

/* Cells by truth and answer. */
struct tally {
  char name[40];
  long speech, speech_heard, other, other_heard;
};

static struct {
  struct tally pooled, noise, music, source[SOURCES_MAX];
  int sources, clips;
} table;

static void shared_path(char path[PATH_BYTES], const char *folder, const char *name) {
  const char *shared = getenv("SIDETONE_SHARED");
  int length =
      snprintf(path, PATH_BYTES, "%s/data/audio/%s/%s", shared != NULL ? shared : "../shared", folder, name);
  assert_true(length < PATH_BYTES);
}

/* ---- labels: one byte a millisecond ---- */

struct truth {
  uint8_t *ms;
  size_t count;
};

static void mark(struct truth *t, double start_s, double end_s) {
  long from = (long)(start_s * 1000 + 0.5), to = (long)(end_s * 1000 + 0.5);
  for (long i = from < 0 ? 0 : from; i < to && (size_t)i < t->count; i++) t->ms[i] = 1;
}

/* The next "quoted text" or number of a TextGrid, long or short form; words outside quotes and what
 * stands in brackets are skipped. False at the end. */
static bool next_value(char **at, char *text, size_t bytes) {
  char *p = *at;
  while (*p != '\0') {
    if (*p == '"') {
      char *end = strchr(p + 1, '"');
      if (end == NULL) return false;
      snprintf(text, bytes, "%.*s", (int)(end - p - 1), p + 1);
      *at = end + 1;
      return true;
    }
    if ((*p >= '0' && *p <= '9') || *p == '-') {
      size_t length = strspn(p, "-0123456789.e");
      snprintf(text, bytes, "%.*s", (int)length, p);
      *at = p + length;
      return true;
    }
    if (*p == '[') {
      p += strcspn(p, "]");
    } else if ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z')) {
      p += strcspn(p, " \t\r\n\"[");
    } else {
      p++;
    }
  }
  return false;
}

static bool is_silence(const char *text) {
  static const char *const words[] = {"", "#", "sil", "sp"};
  text += strspn(text, " ");
  size_t length = strcspn(text, " ");
  if (text[length + strspn(text + length, " ")] != '\0') return false; /* a second word */
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strlen(words[i]) == length && memcmp(text, words[i], length) == 0) return true;
  return false;
}

static void read_textgrid(char *text, int tier, struct truth *t) {
  char value[LINE_BYTES];
  char *at = text;
  while (tier > 0 && next_value(&at, value, sizeof value)) tier -= strcmp(value, "IntervalTier") == 0;
  int intervals = 0;
  for (int i = 0; i < 4 && next_value(&at, value, sizeof value); i++) intervals = atoi(value);
  assert_true(intervals > 0);
  for (int i = 0; i < intervals; i++) {
    char start[32], end[32];
    assert_true(next_value(&at, start, sizeof start) && next_value(&at, end, sizeof end) &&
                next_value(&at, value, sizeof value));
    if (!is_silence(value)) mark(t, atof(start), atof(end));
  }
}

static void read_lines(char *text, const char *format, const char *arg, struct truth *t) {
  char *rest = NULL;
  for (char *line = strtok_r(text, "\r\n", &rest); line != NULL; line = strtok_r(NULL, "\r\n", &rest)) {
    char *words[10] = {NULL}, *in_line = NULL;
    int count = 0;
    for (char *w = strtok_r(line, " \t,", &in_line); w != NULL && count < 10;
         w = strtok_r(NULL, " \t,", &in_line))
      words[count++] = w;
    if (strcmp(format, "rttm") == 0) {
      if (count >= 5 && strcmp(words[0], "SPEAKER") == 0 && strcmp(words[1], arg) == 0)
        mark(t, atof(words[3]), atof(words[3]) + atof(words[4]));
    } else if (strcmp(format, "segments") == 0) {
      if (count >= 3 && strcmp(words[2], "speech") == 0) mark(t, atof(words[0]), atof(words[1]));
    } else if (count >= 3 && (strcmp(words[0], "male") == 0 || strcmp(words[0], "female") == 0)) {
      mark(t, atof(words[1]), atof(words[2]));
    }
  }
}

static void read_truth(char *const row[COLUMNS], struct truth *t) {
  char path[PATH_BYTES];
  shared_path(path, row[SOURCE], row[LABEL]);
  FILE *file = fopen(path, "rb");
  if (file == NULL) fail_msg("%s: %s", path, strerror(errno));
  static char text[1 << 20];
  size_t bytes = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  text[bytes] = '\0';
  if (strcmp(row[FORMAT], "textgrid") == 0)
    read_textgrid(text, atoi(row[ARG]), t);
  else
    read_lines(text, row[FORMAT], row[ARG], t);
}

/* ---- sound ---- */

/* Any file as 8 kHz mono, mu-law coded and decoded; the caller frees. */
static int16_t *telephone_sound(const char *path, size_t *samples) {
  SF_INFO info = {0};
  SNDFILE *file = sf_open(path, SFM_READ, &info);
  if (file == NULL) fail_msg("%s: %s", path, sf_strerror(NULL));
  float *sound = calloc((size_t)info.frames * (size_t)info.channels, sizeof *sound);
  sf_count_t frames = sf_readf_float(file, sound, info.frames);
  sf_close(file);
  for (sf_count_t i = 0; i < frames; i++) {
    float sum = 0;
    for (int c = 0; c < info.channels; c++) sum += sound[i * info.channels + c];
    sound[i] = sum / (float)info.channels;
  }
  double ratio = (double)VAD_RATE_HZ / info.samplerate;
  SRC_DATA data = {.data_in = sound,
                   .input_frames = frames,
                   .src_ratio = ratio,
                   .output_frames = (long)((double)frames * ratio) + 64};
  float *low = calloc((size_t)data.output_frames, sizeof *low);
  data.data_out = low;
  assert_int_equal(src_simple(&data, SRC_SINC_MEDIUM_QUALITY, 1), 0);
  *samples = (size_t)data.output_frames_gen;
  int16_t *pcm = calloc(*samples + 1, sizeof *pcm);
  src_float_to_short_array(low, pcm, (int)*samples);
  for (size_t i = 0; i < *samples; i++) pcm[i] = g711_mu_to_linear(g711_linear_to_mu(pcm[i]));
  free(low);
  free(sound);
  return pcm;
}

/* ---- scoring ---- */

static void count(struct tally *t, bool truth, bool heard) {
  if (truth) {
    t->speech++;
    t->speech_heard += heard;
  } else {
    t->other++;
    t->other_heard += heard;
  }
}

static struct tally *tally_of(const char *source) {
  for (int i = 0; i < table.sources; i++)
    if (strcmp(table.source[i].name, source) == 0) return &table.source[i];
  assert_true(table.sources < SOURCES_MAX);
  struct tally *t = &table.source[table.sources++];
  snprintf(t->name, sizeof t->name, "%s", source);
  return t;
}

static void score_cell(const struct truth *truth, const struct vad_out *out, struct tally *kind,
                       struct tally *source) {
  size_t from = (size_t)out->settled_frame * 10, covered = 0;
  for (size_t i = from; i < from + 10 && i < truth->count; i++) covered += truth->ms[i];
  count(kind, covered >= 5, out->settled);
  count(source, covered >= 5, out->settled);
}

static void score_clip(char *const row[COLUMNS], bool labelled, struct tally *kind) {
  char path[PATH_BYTES];
  shared_path(path, row[SOURCE], row[AUDIO]);
  size_t samples;
  int16_t *pcm = telephone_sound(path, &samples);
  struct truth truth = {calloc(samples / 8 + 1, 1), samples / 8};
  if (labelled) read_truth(row, &truth);

  struct vad v;
  struct vad_out out;
  struct tally *source = tally_of(row[SOURCE]);
  vad_init(&v);
  for (size_t at = 0; at + VAD_FRAME_SAMPLES <= samples; at += VAD_FRAME_SAMPLES) {
    vad_frame(&v, pcm + at, &out);
    if (out.settled_valid) score_cell(&truth, &out, kind, source);
  }
  while (vad_flush(&v, &out)) score_cell(&truth, &out, kind, source);
  table.clips++;
  free(truth.ms);
  free(pcm);
}

static double share(long part, long whole) {
  return whole > 0 ? (double)part / (double)whole : 0;
}

static void print_tally(const char *name, const struct tally *t) {
  printf("%-20s %6ld speech cells, hit %.3f  %6ld others, false alarm %.3f\n", name, t->speech,
         share(t->speech_heard, t->speech), t->other, share(t->other_heard, t->other));
}

static void score_row(char *line) {
  char *row[COLUMNS], *rest = line;
  for (int i = 0; i < COLUMNS; i++) {
    row[i] = strsep(&rest, "\t\r\n");
    if (row[i] == NULL) return;
  }
  static const char *const labelled[] = {"rttm", "textgrid", "segments", "ina-csv"};
  for (size_t i = 0; i < sizeof labelled / sizeof *labelled; i++)
    if (strcmp(row[FORMAT], labelled[i]) == 0) score_clip(row, true, &table.pooled);
  if (strcmp(row[FORMAT], "whole-file-nonspeech") == 0) score_clip(row, false, &table.noise);
  if (strcmp(row[FORMAT], "whole-file-music") == 0) score_clip(row, false, &table.music);
}

static void accuracy_on_the_shared_clips(void **state) {
  (void)state;
  char path[PATH_BYTES], line[LINE_BYTES];
  shared_path(path, ".", "MANIFEST.tsv");
  FILE *manifest = fopen(path, "r");
  if (manifest == NULL) fail_msg("%s: %s (set SIDETONE_SHARED)", path, strerror(errno));
  while (fgets(line, sizeof line, manifest) != NULL) score_row(line);
  fclose(manifest);

  for (int i = 0; i < table.sources; i++) print_tally(table.source[i].name, &table.source[i]);
  print_tally("all labelled", &table.pooled);
  print_tally("all noise", &table.noise);
  print_tally("music on hold", &table.music);
  double balanced = (share(table.pooled.speech_heard, table.pooled.speech) + 1 -
                     share(table.pooled.other_heard, table.pooled.other)) /
                    2;
  double alarm = share(table.noise.other_heard, table.noise.other);
  printf("%d clips: balanced accuracy %.3f, noise called speech %.3f\n", table.clips, balanced, alarm);
  assert_true(table.pooled.speech > 10000 && table.pooled.other > 5000 && table.noise.other > 10000);
  assert_true(balanced >= BALANCED_ACCURACY_REQUIRED);
  assert_true(alarm <= FALSE_ALARM_ALLOWED);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(accuracy_on_the_shared_clips)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
