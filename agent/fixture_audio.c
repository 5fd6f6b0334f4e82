#include "agent/fixture_audio.h"

#include <inttypes.h>
#include <sndfile.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/sound.h"
#include "dsp/codec.h"
#include "dsp/timebase.h"
#include "telnyx/base64.h"

enum { FRAME_MS_MAX = 200, STALLS_MAX = 64, SAMPLES_MAX = FRAME_MS_MAX * 48 };
enum { BURST_MAX = 1000000, JITTER_MAX_MS = 600000, TIME_MAX_S = 1000000 };

struct impairment {
  double loss, reorder, duplicate, burst;
  double jitter_ms;
  struct {
    int64_t start_us, length_us;
  } stall[STALLS_MAX];
  size_t stalls;
};

struct slot { /* one delivery */
  int64_t t_us;
  uint32_t index; /* of the frame in its track */
  uint32_t track;
};

struct fixture_audio {
  const struct codec *codec;
  uint32_t frame_ms;
  size_t frame_samples, channels, frames;
  int16_t *pcm; /* interleaved */
  struct slot *slot;
  size_t slots, next;
  struct fixture_numbers base; /* as found at the first frame */
  uint32_t random;
  char *text;
  size_t text_bytes;
};

/* The generator of voice-quality.md 7.4: 32-bit xorshift, uniform in [0, 1). */
static double draw(struct fixture_audio *a) {
  uint32_t x = a->random;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  a->random = x;
  return x / 4294967296.0;
}

/* Absent: 0. */
static bool number(const json_t *impair, const char *key, double most, double *out, char *why,
                   size_t why_bytes) {
  const json_t *value = json_object_get(impair, key);
  *out = value != NULL ? json_number_value(value) : 0;
  if (value == NULL || (json_is_number(value) && *out >= 0 && *out <= most)) return true;
  snprintf(why, why_bytes, "impair.%s: a number from 0 to %g is allowed", key, most);
  return false;
}

static bool time_us(const json_t *seconds, int64_t *out) {
  double value = json_number_value(seconds);
  if (!json_is_number(seconds) || value < 0 || value > TIME_MAX_S) return false;
  *out = (int64_t)(value * 1e6);
  return true;
}

static bool read_stalls(const json_t *list, struct impairment *out, char *why, size_t why_bytes) {
  size_t count = json_array_size(list);
  bool good = list == NULL || (json_is_array(list) && count <= STALLS_MAX);
  for (size_t i = 0; good && i < count; i++) {
    const json_t *pair = json_array_get(list, i);
    good = json_array_size(pair) == 2 && time_us(json_array_get(pair, 0), &out->stall[i].start_us) &&
           time_us(json_array_get(pair, 1), &out->stall[i].length_us);
  }
  if (good) {
    out->stalls = count;
  } else {
    snprintf(why, why_bytes, "impair.stall: up to %d pairs [start_s, length_s] are allowed", STALLS_MAX);
  }
  return good;
}

static bool read_impairment(const json_t *impair, struct impairment *out, char *why, size_t why_bytes) {
  memset(out, 0, sizeof *out);
  if (impair == NULL) return true;
  const json_t *seed = json_object_get(impair, "seed");
  if (!json_is_object(impair) || (seed != NULL && !json_is_integer(seed))) {
    snprintf(why, why_bytes, "impair: an object with a whole seed is allowed");
    return false;
  }
  return number(impair, "loss", 1, &out->loss, why, why_bytes) &&
         number(impair, "reorder", 1, &out->reorder, why, why_bytes) &&
         number(impair, "duplicate", 1, &out->duplicate, why, why_bytes) &&
         number(impair, "burst", BURST_MAX, &out->burst, why, why_bytes) &&
         number(impair, "jitter_ms", JITTER_MAX_MS, &out->jitter_ms, why, why_bytes) &&
         read_stalls(json_object_get(impair, "stall"), out, why, why_bytes);
}

/* Gilbert with mean run `burst` when that is above 1, else Bernoulli. */
static bool lost(struct fixture_audio *a, const struct impairment *im, bool *bad) {
  if (im->loss <= 0) return false;
  double u = draw(a);
  if (im->burst <= 1 || im->loss >= 1) return u < im->loss;
  double q = 1 / im->burst, p = im->loss * q / (1 - im->loss);
  *bad = *bad ? !(u < q) : u < p;
  return *bad;
}

static int64_t delivered_us(struct fixture_audio *a, const struct impairment *im, int64_t nominal_us) {
  int64_t t = nominal_us;
  if (im->jitter_ms > 0) t += (int64_t)(draw(a) * im->jitter_ms * 1000);
  for (size_t i = 0; i < im->stalls; i++) {
    int64_t end = im->stall[i].start_us + im->stall[i].length_us;
    if (t >= im->stall[i].start_us && t < end) t = end;
  }
  return t;
}

/* A reordered frame comes right after its successor: later than it should, never earlier. One that was
 * overtaken so is not held back itself. */
static void hold_back(struct fixture_audio *a, bool *late) {
  for (size_t i = 0; i < a->slots; i++) {
    if (!late[i]) continue;
    struct slot held = a->slot[i];
    size_t j = i + 1;
    while (j < a->slots && a->slot[j].track != held.track) j++;
    if (j == a->slots) continue;
    late[j] = false;
    memmove(a->slot + i, a->slot + i + 1, (j - i) * sizeof *a->slot);
    memmove(late + i, late + i + 1, (j - i) * sizeof *late);
    held.t_us = a->slot[j - 1].t_us;
    a->slot[j] = held;
    late[j] = false;
    i--; /* what moved up to here may be late too */
  }
}

/* Frame by frame, inbound before outbound; TCP keeps the order of sending, so times only rise. */
static bool make_schedule(struct fixture_audio *a, const struct impairment *im) {
  size_t most = a->frames * a->channels * 2;
  a->slot = malloc((most + 1) * sizeof *a->slot);
  bool *late = calloc(most + 1, sizeof *late);
  if (a->slot == NULL || late == NULL) {
    free(late);
    return false;
  }
  bool bad[2] = {false, false};
  int64_t last_us = 0;
  for (size_t i = 0; i < a->frames; i++) {
    for (uint32_t track = 0; track < a->channels; track++) {
      bool gone = lost(a, im, &bad[track]);
      int64_t t = delivered_us(a, im, (int64_t)i * a->frame_ms * 1000);
      bool twice = im->duplicate > 0 && draw(a) < im->duplicate;
      bool held = im->reorder > 0 && draw(a) < im->reorder;
      if (gone) continue;
      if (t < last_us) t = last_us;
      last_us = t;
      late[a->slots] = held;
      a->slot[a->slots++] = (struct slot){.t_us = t, .index = (uint32_t)i, .track = track};
      if (twice) a->slot[a->slots++] = (struct slot){.t_us = t, .index = (uint32_t)i, .track = track};
    }
  }
  hold_back(a, late);
  free(late);
  return true;
}

/* The file's rate says which L16 is meant. NULL when we cannot code it. */
static const struct codec *codec_of(const char *encoding, uint32_t sample_rate_hz) {
  const struct codec *codec = codec_find(encoding, strlen(encoding), sample_rate_hz);
  return codec != NULL && codec->encode != NULL && codec->sample_rate_hz == sample_rate_hz ? codec : NULL;
}

static bool read_sound(struct fixture_audio *a, const char *path, const char *encoding, char *why,
                       size_t why_bytes) {
  SF_INFO info = {0};
  if (!sound_is_file(path, why, why_bytes)) return false;
  SNDFILE *file = sf_open(path, SFM_READ, &info);
  if (file == NULL) {
    snprintf(why, why_bytes, "%s: %s", path, sf_strerror(NULL));
    return false;
  }
  a->codec = codec_of(encoding, (uint32_t)info.samplerate);
  bool fits = a->codec != NULL && (info.channels == 1 || info.channels == 2);
  if (!fits) {
    snprintf(why, why_bytes,
             "%s: %s of %d Hz, %d channels; PCMU, PCMA or L16 of 8000 Hz, one or two channels are allowed",
             path, encoding, info.samplerate, info.channels);
  } else {
    a->frame_samples = a->codec->sample_rate_hz / 1000 * a->frame_ms;
    a->channels = (size_t)info.channels;
    a->pcm = malloc(((size_t)info.frames + 1) * a->channels * sizeof *a->pcm);
    sf_count_t got = a->pcm != NULL ? sf_readf_short(file, a->pcm, info.frames) : 0;
    a->frames = (size_t)got / a->frame_samples;
    fits = a->frames > 0;
    if (!fits) snprintf(why, why_bytes, "%s: shorter than one frame", path);
  }
  sf_close(file);
  return fits;
}

static bool open_audio(struct fixture_audio *a, const json_t *line, const char *folder, char *why,
                       size_t why_bytes) {
  const json_t *audio = json_object_get(line, "audio"), *impair = json_object_get(line, "impair");
  const char *name = json_string_value(json_object_get(audio, "file"));
  const char *encoding = json_string_value(json_object_get(audio, "encoding"));
  const json_t *frame_ms = json_object_get(audio, "frame_ms");
  json_int_t ms = frame_ms != NULL ? json_integer_value(frame_ms) : 20;
  if (name == NULL || encoding == NULL || ms < 1 || ms > FRAME_MS_MAX) {
    snprintf(why, why_bytes, "audio takes file, encoding (PCMU, PCMA, L16) and frame_ms (1 to %d)",
             FRAME_MS_MAX);
    return false;
  }
  a->frame_ms = (uint32_t)ms;
  json_int_t seed = json_integer_value(json_object_get(impair, "seed"));
  a->random = (uint32_t)seed != 0 ? (uint32_t)seed : 2463534242u;
  struct impairment im;
  char *path;
  if (!read_impairment(impair, &im, why, why_bytes)) return false;
  snprintf(why, why_bytes, "%s: no memory", name);
  if (asprintf(&path, "%s/%s", folder, name) < 0) return false;
  bool heard = read_sound(a, path, encoding, why, why_bytes);
  free(path);
  if (!heard) return false;
  a->text_bytes = a->frame_samples * 2 / 3 * 4 + 1024;
  a->text = malloc(a->text_bytes);
  return a->text != NULL && make_schedule(a, &im);
}

struct fixture_audio *fixture_audio_open(const json_t *line, const char *folder, char *why,
                                         size_t why_bytes) {
  struct fixture_audio *a = calloc(1, sizeof *a);
  if (a == NULL) {
    snprintf(why, why_bytes, "no memory");
    return NULL;
  }
  if (open_audio(a, line, folder, why, why_bytes)) return a;
  fixture_audio_free(a);
  return NULL;
}

void fixture_audio_free(struct fixture_audio *a) {
  if (a == NULL) return;
  free(a->pcm);
  free(a->slot);
  free(a->text);
  free(a);
}

int64_t fixture_audio_next_us(const struct fixture_audio *a) {
  return a->next < a->slots ? a->slot[a->next].t_us : -1;
}

int64_t fixture_audio_end_us(const struct fixture_audio *a) {
  return a->slots > 0 ? a->slot[a->slots - 1].t_us : 0;
}

static size_t code(const struct fixture_audio *a, const struct slot *s, uint8_t *payload, size_t capacity) {
  int16_t pcm[SAMPLES_MAX];
  const int16_t *from = a->pcm + (size_t)s->index * a->frame_samples * a->channels + s->track;
  for (size_t i = 0; i < a->frame_samples; i++) pcm[i] = from[i * a->channels];
  return a->codec->encode(pcm, a->frame_samples, payload, capacity);
}

const char *fixture_audio_take(struct fixture_audio *a, struct fixture_numbers *numbers, size_t *bytes) {
  if (a->next == 0) a->base = *numbers;
  const struct slot *s = &a->slot[a->next++];
  uint8_t payload[SAMPLES_MAX * 2];
  size_t coded = code(a, s, payload, sizeof payload);
  uint64_t sequence = a->base.sequence + 1 + (uint64_t)s->index * a->channels + s->track;
  int length =
      snprintf(a->text, a->text_bytes,
               "{\"event\":\"media\",\"sequence_number\":\"%" PRIu64
               "\",\"stream_id\":\"%s\",\"media\":{\"track\":\"%s\","
               "\"chunk\":\"%" PRIu64 "\",\"timestamp\":\"%" PRIu64 "\",\"payload\":\"",
               sequence, a->base.stream_id, track_name((int)s->track), a->base.chunk[s->track] + 1 + s->index,
               a->base.timestamp[s->track] + (uint64_t)s->index * a->frame_ms);
  length += (int)base64_encode(payload, coded, a->text + length);
  memcpy(a->text + length, "\"}}", 4);
  *bytes = (size_t)length + 3;
  numbers->sequence = a->base.sequence + a->frames * a->channels;
  for (size_t track = 0; track < a->channels; track++) {
    numbers->chunk[track] = a->base.chunk[track] + a->frames;
    numbers->timestamp[track] = a->base.timestamp[track] + a->frames * a->frame_ms;
  }
  return a->text;
}

void fixture_audio_rewind(struct fixture_audio *a) {
  a->next = 0;
}
