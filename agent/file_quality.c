#include "agent/file_quality.h"

#include <stdlib.h>
#include <string.h>

#include "agent/diagnosis.h"

enum { RATE_MAX_HZ = 48000 };

struct file_quality {
  struct diagnosis *diagnosis;
  int tracks;
  struct {
    const int16_t *pcm; /* at 8 kHz */
    size_t samples, heard;
    int64_t wide_heard; /* samples at the file's own rate */
  } track[TRACK_COUNT];
  struct {
    struct sound_reader *reader;
    uint32_t rate_hz;
    int first_track, channels;
  } file[TRACK_COUNT];
  int files;
  int16_t second[TRACK_COUNT][RATE_MAX_HZ];
};

static bool open_file(struct file_quality *q, const char *path, const struct sound *sound) {
  int f = q->files++;
  q->file[f].reader = sound_open(path, &q->file[f].rate_hz);
  q->file[f].first_track = q->tracks;
  q->file[f].channels = (int)sound->channels;
  if (q->file[f].reader == NULL || q->file[f].rate_hz > RATE_MAX_HZ) return false;
  for (size_t c = 0; c < sound->channels; c++, q->tracks++) {
    q->track[q->tracks].pcm = sound->pcm[c];
    q->track[q->tracks].samples = sound->samples;
    diagnosis_begin(q->diagnosis, q->tracks, q->file[f].rate_hz, 0, sound->ceiling, sound->idle);
  }
  return true;
}

struct file_quality *file_quality_open(char *const *files, const struct sound *sound, int count) {
  struct file_quality *q = calloc(1, sizeof *q);
  if (q == NULL) return NULL;
  q->diagnosis = diagnosis_create(NULL, NULL);
  bool good = q->diagnosis != NULL;
  for (int i = 0; good && i < count; i++) good = open_file(q, files[i], &sound[i]);
  if (good) return q;
  file_quality_free(q);
  return NULL;
}

void file_quality_free(struct file_quality *q) {
  if (q == NULL) return;
  for (int i = 0; i < q->files; i++) sound_close(q->file[i].reader);
  diagnosis_free(q->diagnosis);
  free(q);
}

static void next_at_8k(struct file_quality *q, int t) {
  size_t left = q->track[t].samples - q->track[t].heard, count = left < SOUND_RATE_HZ ? left : SOUND_RATE_HZ;
  if (count == 0) return;
  diagnosis_pcm_8k(q->diagnosis, t, (int64_t)q->track[t].heard, q->track[t].pcm + q->track[t].heard, count);
  q->track[t].heard += count;
}

/* A track is expected to have sound as long as its file goes on. */
static void heard(struct file_quality *q, int t, uint32_t rate_hz, const int16_t *pcm, size_t samples) {
  int64_t from_ms = q->track[t].wide_heard * 1000 / rate_hz, ms = (int64_t)samples * 1000 / rate_hz;
  diagnosis_frame(q->diagnosis, t, from_ms, ms, from_ms, 0);
  diagnosis_pcm(q->diagnosis, t, q->track[t].wide_heard, pcm, samples);
  q->track[t].wide_heard += (int64_t)samples;
}

void file_quality_second(struct file_quality *q) {
  int16_t *const into[TRACK_COUNT] = {q->second[0], q->second[1]};
  for (int f = 0; f < q->files; f++) {
    bool narrow = q->file[f].rate_hz == SOUND_RATE_HZ;
    size_t got = sound_next(q->file[f].reader, into, q->file[f].rate_hz);
    for (int c = 0; c < q->file[f].channels; c++) {
      int t = q->file[f].first_track + c;
      if (!narrow) next_at_8k(q, t);
      if (got > 0) heard(q, t, q->file[f].rate_hz, q->second[c], got);
    }
  }
}

void file_quality_speech(struct file_quality *q, int track, int64_t from_ms, int64_t to_ms, bool speech) {
  diagnosis_speech(q->diagnosis, track, from_ms, to_ms, speech);
}

/* The shorter of two files has an end there, not a hole. */
static void not_expected(struct file_quality *q, int t, int64_t from_ms, int64_t to_ms) {
  diagnosis_frame(q->diagnosis, t, from_ms, to_ms - from_ms, to_ms, 0);
}

void file_quality_end(struct file_quality *q, int64_t duration_ms) {
  for (int f = 0; f < q->files; f++) {
    int t = q->file[f].first_track;
    int64_t from_ms = q->track[t].wide_heard * 1000 / q->file[f].rate_hz;
    if (q->file[f].channels == 1 && from_ms < duration_ms) not_expected(q, t, from_ms, duration_ms);
  }
  diagnosis_end(q->diagnosis, duration_ms);
}

bool file_quality_part(const struct file_quality *q, struct part *part) {
  part->findings = calloc(1, sizeof *part->findings);
  if (part->findings == NULL) return false;
  diagnosis_findings(q->diagnosis, part->findings);
  diagnosis_echo(q->diagnosis, &part->echo);
  for (int t = 0; t < q->tracks; t++) {
    part->track[t].signal = malloc(sizeof *part->track[t].signal);
    if (part->track[t].signal == NULL) return false;
    diagnosis_signal(q->diagnosis, t, part->track[t].signal);
  }
  return true;
}
