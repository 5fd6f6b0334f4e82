/* The inside of a stream, shared by agent/stream*.c only. */
#ifndef AGENT_STREAM_INTERNAL_H
#define AGENT_STREAM_INTERNAL_H

#include "agent/diagnosis.h"
#include "agent/hold.h"
#include "agent/stream.h"
#include "dsp/assembler.h"
#include "dsp/delivery.h"
#include "dsp/hearing.h"
#include "dsp/timebase.h"

struct stream_track {
  struct stream *stream;
  int index;
  struct delivery *delivery;
  struct hearing *hearing;
  struct assembler assembler;
  bool decided, placed; /* the time base; the origin */
  bool begun;           /* delivery knows the format */
  int64_t origin_us;    /* of the track's first frame, on the part's clock */
  bool timed;           /* the first frame's timestamp has a known unit: */
  int64_t first_media_us;
  int64_t arrival_us; /* of its newest frame */
  bool quiet;         /* nothing has come for a while: nobody is heard speaking */
  int64_t fed_ms;     /* speech rules know the track up to here */
  int64_t judged_us;  /* start of the newest window of its delivery that was judged; -1: none */
  int64_t end_us;     /* end of its last frame, on the part's clock */
};

struct stream {
  struct part meta; /* facts without the big ones; `n` of the last stream_part() */
  struct metrics *metrics;
  struct stream_options options;
  uint8_t *scratch;
  const struct codec *codec; /* NULL: no start yet, or one that is not in the table */
  const struct codec *leg;   /* NULL: not told, or not in the table */
  bool started, changed;
  struct hold hold;
  struct timebase timebase;
  struct stream_track track[TRACK_COUNT];
  struct speech *speech;
  struct diagnosis *diagnosis;
  uint64_t findings_seen;    /* diagnosis_changes() at the last tick */
  bool heard;                /* a codec with a decoder has been in use */
  int64_t arrival_us;        /* monotonic: the newest frame of any track, 0: none */
  int64_t gap_us;            /* the longest since a look */
  int64_t origin_arrival_us; /* monotonic arrival of the part's first frame; -1: none */
  uint64_t rtt_count[RTT_SOURCES], rtt_sum_us[RTT_SOURCES], rtt_min_us[RTT_SOURCES]; /* of the socket */
  /* Of sequence_number in the counting at hand, and what was missing in those before. */
  uint64_t sequence_first, sequence_high, sequence_count, sequence_missing_before;
};

/* What a `start` says of the leg; only the first one that says a thing counts. */
void stream_note_start(struct stream *s, const struct moment *at, const struct frame *start);
void stream_note_encoding(struct stream *s, int track, const char *encoding);

/* By the stream's options; the leg's codec as in stream_newest_r(). */
struct delivery_view stream_view(const struct stream *s, const char *leg_codec);
/* The delivery of a track as it stands, with what the stream knows of it besides. malloc'ed, NULL: no
 * memory. */
struct delivery_facts *stream_track_facts(const struct stream *s, int track);

/* stream_sound.c: from the assembler to the detector, the rules and the diagnosis. */
bool stream_sound_create(struct stream_track *t);
void stream_sound_begin(struct stream_track *t, const struct codec *codec, uint32_t ptime_us);
void stream_sound_silence(void *arg, int track, int64_t start_us, int64_t end_us); /* diagnosis_sink */
void stream_sound_tick(struct stream_track *t);
void stream_sound_end(struct stream *s);

#endif
