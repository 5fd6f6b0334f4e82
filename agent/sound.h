/* Audio files for `analyze`: whatever libsndfile reads at 8 to 48 kHz, as tracks of 8 kHz samples. */
#ifndef AGENT_SOUND_H
#define AGENT_SOUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SOUND_RATE_HZ = 8000 };

struct sound {
  size_t channels; /* 1 or 2 */
  size_t samples;  /* at SOUND_RATE_HZ, a channel */
  int64_t duration_ms;
  int16_t ceiling, idle; /* as codec.h's pcm_ceiling and pcm_idle: G.711's, else 32767 and 0 */
  int16_t *pcm[2];       /* owned */
};

/* False with `why`: not an audio file, more than two channels, another rate. `out` is then empty; it
 * needs sound_free() otherwise. Thread: any. */
bool sound_read(struct sound *out, const char *path, char *why, size_t why_bytes);
void sound_free(struct sound *s);
/* The same file as it is, in step with its 8 kHz: piece by piece, at its own rate where dsp/signal.h measures
 * that, else at 16 kHz (at 8 kHz, when it has less). */
struct sound_reader;
/* Of a file that sound_read() could read. NULL: it can be read no more, or there is no memory. */
struct sound_reader *sound_open(const char *path, uint32_t *rate_hz);
/* The next samples, a channel each; less than `count` at the end. */
size_t sound_next(struct sound_reader *r, int16_t *const pcm[2], size_t count);
void sound_close(struct sound_reader *r);
/* Only what is a regular file is opened: a pipe or a terminal would be waited for. False with `why`. */
bool sound_is_file(const char *path, char *why, size_t why_bytes);

#endif
