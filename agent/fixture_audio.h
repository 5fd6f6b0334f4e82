/* An `audio` line of a fixture: sound from a file as the media frames Telnyx would send, with scripted
 * impairments. The schedule is made once (seeded, so always the same); frames are coded one by one. */
#ifndef AGENT_FIXTURE_AUDIO_H
#define AGENT_FIXTURE_AUDIO_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* What numbering goes on from, a socket. */
struct fixture_numbers {
  uint64_t sequence;     /* of the last frame */
  uint64_t chunk[2];     /* of the last media frame of a track, 0: none */
  uint64_t timestamp[2]; /* ms, of the next media frame of a track */
  char stream_id[257];
};

struct fixture_audio;

/* NULL with `why`. `line` is the whole line, `folder` what its file name is relative to. */
struct fixture_audio *fixture_audio_open(const json_t *line, const char *folder, char *why, size_t why_bytes);
void fixture_audio_free(struct fixture_audio *a);
/* From the line's t: when the next frame comes, -1 behind the last. */
int64_t fixture_audio_next_us(const struct fixture_audio *a);
int64_t fixture_audio_end_us(const struct fixture_audio *a);
/* The next frame's JSON text, valid until the next call. Numbers go on from `numbers` as they were at
 * the first call; after the last frame `numbers` is where the socket goes on. */
const char *fixture_audio_take(struct fixture_audio *a, struct fixture_numbers *numbers, size_t *bytes);
void fixture_audio_rewind(struct fixture_audio *a);

#endif
