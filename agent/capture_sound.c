#include "agent/capture_sound.h"

#include <stdlib.h>

#include "dsp/assembler.h"
#include "dsp/hearing.h"
#include "dsp/signal.h"

enum { HEARING_HZ = 8000 };

struct capture_sound {
  struct delivery *delivery;
  struct assembler assembler;
  struct hearing *hearing;
  struct signal *signal;
  bool heard;
};

static void on_decision(void *arg, int64_t from_ms, int64_t to_ms, bool speech, float score) {
  struct capture_sound *s = arg;
  (void)score;
  signal_speech(s->signal, from_ms, to_ms, speech);
}

/* Silence that was put into the sound before it was captured counts as lost (voice-quality.md 3.6). */
static void on_silence(void *arg, int64_t start_us, int64_t end_us) {
  struct capture_sound *s = arg;
  delivery_inserted_silence(s->delivery, start_us, end_us);
}

static void on_sound(void *arg, int64_t position_samples, const int16_t *pcm, size_t samples) {
  struct capture_sound *s = arg;
  signal_pcm(s->signal, position_samples, pcm, samples);
  hearing_pcm(s->hearing, position_samples, pcm, samples);
}

bool capture_sound_can(const struct codec *codec) {
  return codec->decode != NULL && codec->sample_rate_hz == HEARING_HZ;
}

struct capture_sound *capture_sound_new(struct delivery *delivery) {
  struct capture_sound *s = calloc(1, sizeof *s);
  if (s == NULL) return NULL;
  s->delivery = delivery;
  s->signal = malloc(signal_bytes());
  s->hearing = hearing_create(on_decision, s);
  if (s->signal == NULL || s->hearing == NULL) {
    capture_sound_free(s);
    return NULL;
  }
  signal_init(s->signal);
  signal_on_silence(s->signal, on_silence, s);
  assembler_init(&s->assembler, on_sound, s);
  return s;
}

void capture_sound_free(struct capture_sound *s) {
  if (s == NULL) return;
  free(s->signal);
  hearing_free(s->hearing);
  free(s);
}

void capture_sound_begin(struct capture_sound *s, const struct codec *codec, uint32_t ptime_us) {
  assembler_begin(&s->assembler, codec);
  if (!capture_sound_can(codec)) return;
  signal_begin(s->signal, codec->sample_rate_hz, codec->pcm_ceiling, codec->pcm_idle);
  signal_ptime(s->signal, ptime_us / 1000);
}

void capture_sound_push(struct capture_sound *s, int64_t place_us, int64_t arrival_us, const uint8_t *payload,
                        size_t bytes) {
  s->heard = true;
  assembler_tick(&s->assembler, arrival_us);
  assembler_push(&s->assembler, place_us, arrival_us, payload, bytes);
}

void capture_sound_flush(struct capture_sound *s) {
  assembler_flush(&s->assembler);
}

void capture_sound_end(struct capture_sound *s) {
  assembler_flush(&s->assembler);
  hearing_flush(s->hearing);
  signal_flush(s->signal);
}

bool capture_sound_facts(const struct capture_sound *s, struct signal_facts *out) {
  if (s->heard) signal_facts(s->signal, out);
  return s->heard;
}
