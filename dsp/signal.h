/* What one track sounds like: levels, noise, clipping, DC, hum, drop-outs, bandwidth
 * (voice-quality.md 5.1 to 5.5, 5.6's last two, 5.8, 5.9).
 *
 *   assembler ── signal_pcm ──> frames of 20 ms: P.56, clipping, drop-outs ──> ring ──┐
 *   voice detector ── signal_speech, later ──────────────────────────────────────────>├─> noise, hum,
 *                                                                                     │   bandwidth
 * Use: signal_init(), signal_begin() at each format, then for each payload signal_pcm() and after it
 * the detector (dsp/hearing.h), whose sink calls signal_speech(). signal_facts() whenever somebody
 * looks, signal_window() for findings, signal_flush() at the end of the track.
 * The same sound gives the same facts however it is cut into calls, as long as the decisions come
 * within SIGNAL_RING_FRAMES. Frames begin with the first sample, and anew behind each hole.
 * No heap, no clock (positions are the time), no lock; belongs to one thread; constant in size. */
#ifndef DSP_SIGNAL_H
#define DSP_SIGNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dsp/kernels.h"
#include "dsp/signal_facts.h"

enum { SIGNAL_WINDOW_MS = 10000, SIGNAL_RING_FRAMES = 64 };

struct signal;

size_t signal_bytes(void);
void signal_init(struct signal *s);
/* The sound that follows. rate_hz: 8000, 12000, 16000, 24000 or 48000, of another one nothing is
 * measured. `ceiling` and `idle`: greatest |sample| the codec can give and that of its silence
 * (codec.h: pcm_ceiling, pcm_idle; of the leg's codec, if that is known and the stream is linear). */
void signal_begin(struct signal *s, uint32_t rate_hz, int16_t ceiling, int16_t idle);
/* The length of the codec's frames from here on: inserted silence is whole frames of the codec (and is
 * told in frames of 20 ms all the same). A multiple of 10 ms up to 60, 20 from signal_begin() on until
 * told; others are ignored. */
void signal_ptime(struct signal *s, uint32_t ptime_ms);
/* An assembler_sink; `arg` is the struct signal. Sound before signal_begin() is ignored. */
void signal_pcm(void *arg, int64_t position_samples, const int16_t *pcm, size_t samples);
/* The detector's settled decisions, in rising time without gaps; ms from the track's first frame. */
void signal_speech(struct signal *s, int64_t from_ms, int64_t to_ms, bool speech);
/* No sound and no decisions are to come: what waits for a decision is measured without one, and the
 * open window is closed. signal_begin() may follow. */
void signal_flush(struct signal *s);
/* The facts as if the track ended now; `s` is not changed. */
void signal_facts(const struct signal *s, struct signal_facts *out);
/* Silence that somebody put into the sound (5.8), told with the sound that proves it: at most ten frames of
 * the codec (200 ms, if signal_ptime() ignored their length) and 40 ms after it began. Times from the track's
 * first sample. NULL: nobody asks. */
typedef void (*signal_silence_sink)(void *arg, int64_t start_us, int64_t end_us);
void signal_on_silence(struct signal *s, signal_silence_sink sink, void *arg);
/* Another table of kernels than kernels_best(), for tests. */
void signal_use(struct signal *s, const struct kernels *kernels);

/* A window of 10 s of track time that had sound, by itself. A figure that cannot be had is absent. */
struct signal_window {
  uint64_t ordinal; /* windows closed up to and with this one; 0: none yet */
  int64_t start_ms, end_ms;
  uint64_t measured_ms, missing_ms, speech_ms;
  struct figure active_level_dbov, rms_dbov, activity_share, noise_dbov, snr_db, clip_share, dc;
  struct figure mute_gaps_per_min;
  uint64_t clip_events, mute_gaps, inserted_silence_frames, repeated_frames;
  uint32_t hum_hz; /* 50 or 60 while the last three blocks had it, else 0 */
  struct figure hum_dbov;
  bool non_speech; /* taken for music or a tone: its level is no speech level */
};

/* The newest one that is closed: when its last frame has been decided, about 200 ms after its end. */
const struct signal_window *signal_window(const struct signal *s);

#endif
