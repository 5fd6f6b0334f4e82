#include "dsp/timebase.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum {
  DEFAULT_PTIME_US = 20000,
  PTIME_MIN_US = 1000, /* below it the payload is no audio frame */
  SHARED_LEAP = 3000,
  SHARED_BEHIND = 100, /* two tracks of 50 */
  FAR_AHEAD = 2 * SHARED_LEAP
};

static const double unit_tolerance = 0.01;

void timebase_init(struct timebase *t, const struct codec *codec) {
  memset(t, 0, sizeof(*t));
  t->codec = codec;
}

void timebase_observe(struct timebase *t, enum track track, const struct timebase_event *event) {
  struct timebase_track *k = &t->track[track];
  if (k->seen < TIMEBASE_EVENTS) k->first[k->seen] = *event;
  k->seen++;
}

bool timebase_ready(const struct timebase *t, enum track track) {
  return t->track[track].seen >= TIMEBASE_EVENTS;
}

/* ---- deciding ---- */

static uint32_t kept(const struct timebase_track *k) {
  return k->seen < TIMEBASE_EVENTS ? k->seen : TIMEBASE_EVENTS;
}

static uint32_t duration_us(const struct codec *codec, const struct timebase_event *event) {
  return event->duration_us != 0 ? event->duration_us : codec_duration_us(codec, event->payload_bytes);
}

/* The most frequent length of a payload, the shorter of two equally frequent ones. */
static uint32_t usual_ptime_us(const struct codec *codec, const struct timebase_track *k) {
  uint32_t best_us = 0, best_times = 0;
  if (codec == NULL) return DEFAULT_PTIME_US;
  for (uint32_t i = 0; i < kept(k); i++) {
    uint32_t length_us = duration_us(codec, &k->first[i]), times = 0;
    if (length_us < PTIME_MIN_US) continue;
    for (uint32_t j = 0; j < kept(k); j++) {
      times += duration_us(codec, &k->first[j]) == length_us;
    }
    if (times > best_times || (times == best_times && length_us < best_us)) {
      best_times = times;
      best_us = length_us;
    }
  }
  return best_us > 0 ? best_us : DEFAULT_PTIME_US;
}

static bool has_number(const struct timebase_track *k, uint64_t chunk) {
  for (uint32_t i = 0; i < kept(k); i++) {
    if (k->first[i].has_chunk && k->first[i].chunk == chunk) return true;
  }
  return false;
}

/* How many of the other track's numbers lie between this track's; `*common` counts those on both. */
static uint32_t interleaved(const struct timebase_track *k, const struct timebase_track *other,
                            uint32_t *common) {
  uint64_t low = UINT64_MAX, high = 0;
  uint32_t between = 0;
  for (uint32_t i = 0; i < kept(k); i++) {
    if (!k->first[i].has_chunk) continue;
    if (k->first[i].chunk < low) low = k->first[i].chunk;
    if (k->first[i].chunk > high) high = k->first[i].chunk;
  }
  for (uint32_t i = 0; i < kept(other); i++) {
    uint64_t chunk = other->first[i].chunk;
    if (!other->first[i].has_chunk) continue;
    between += chunk > low && chunk < high;
    *common += has_number(k, chunk);
  }
  return between;
}

static bool counts_by_tracks(const struct timebase_track *k) {
  uint32_t steps = 0, by_tracks = 0;
  for (uint32_t i = 1; i < kept(k); i++) {
    if (!k->first[i].has_chunk || !k->first[i - 1].has_chunk) continue;
    steps++;
    by_tracks += k->first[i].chunk - k->first[i - 1].chunk == TRACK_COUNT;
  }
  return 2 * by_tracks > steps;
}

/* One counter for both tracks: no number is on both, and the numbers of one lie between those of the
 * other. Steps of a track alone would not tell: a sender that bunches its tracks counts by one within
 * a bunch. They only help for a track that begins after the other's first frames. */
static enum chunk_scope decide_scope(const struct timebase *t, enum track track) {
  const struct timebase_track *k = &t->track[track], *other = &t->track[1 - track];
  uint32_t common = 0;
  if (other->chunk_scope == CHUNK_SHARED) return CHUNK_SHARED;
  if (other->seen == 0) return CHUNK_PER_TRACK;
  uint32_t between = interleaved(k, other, &common) + interleaved(other, k, &common);
  return common == 0 && (between > 0 || counts_by_tracks(k)) ? CHUNK_SHARED : CHUNK_PER_TRACK;
}

/* Median of the timestamp's steps per frame, the lower of two middle ones; NaN without any. */
static double usual_timestamp_step(const struct timebase_track *k) {
  double step[TIMEBASE_EVENTS];
  size_t n = 0;
  for (uint32_t i = 1; i < kept(k); i++) {
    const struct timebase_event *a = &k->first[i - 1], *b = &k->first[i];
    if (!a->has_timestamp || !b->has_timestamp) continue;
    double frames = 1;
    if (k->chunk_scope == CHUNK_PER_TRACK && a->has_chunk && b->has_chunk) {
      frames = (double)(int64_t)(b->chunk - a->chunk);
      if (frames == 0) continue;
    }
    double value = (double)(int64_t)(b->timestamp - a->timestamp) / frames;
    size_t at = n++;
    for (; at > 0 && step[at - 1] > value; at--) step[at] = step[at - 1];
    step[at] = value;
  }
  return n > 0 ? step[(n - 1) / 2] : NAN;
}

static bool is_about(double value, double expected) {
  return fabs(value - expected) <= unit_tolerance * expected;
}

static enum ts_unit decide_unit(const struct codec *codec, const struct timebase_track *k) {
  double step = usual_timestamp_step(k), ptime_us = k->ptime_us;
  if (isnan(step)) return TS_UNKNOWN;
  if (is_about(step, ptime_us / 1000.0)) return TS_MS;
  if (codec != NULL && is_about(step, ptime_us * codec->rtp_clock_hz * 1e-6)) return TS_RTP_TICKS;
  if (codec != NULL && is_about(step, ptime_us * codec->sample_rate_hz * 1e-6)) return TS_SAMPLES;
  if (is_about(step, ptime_us)) return TS_US;
  return step == 1.0 ? TS_FRAMES : TS_UNKNOWN;
}

void timebase_decide(struct timebase *t, enum track track) {
  struct timebase_track *k = &t->track[track];
  k->ptime_us = usual_ptime_us(t->codec, k);
  k->chunk_scope = decide_scope(t, track);
  struct timebase_track *other = &t->track[1 - track];
  if (k->chunk_scope == CHUNK_SHARED && other->chunk_scope == CHUNK_PER_TRACK) {
    other->chunk_scope = CHUNK_SHARED; /* it was decided before the second track came */
  }
  k->ts_unit = decide_unit(t->codec, k);
}

/* ---- placing ---- */

static int64_t bounded(double us) {
  const double most = (double)TIMEBASE_MEDIA_MAX_US;
  if (us > most) return TIMEBASE_MEDIA_MAX_US;
  return us < -most ? -TIMEBASE_MEDIA_MAX_US : llround(us);
}

static int64_t bounded_sum(int64_t a, int64_t b) {
  int64_t sum = a + b; /* both within the bound: no overflow */
  if (sum > TIMEBASE_MEDIA_MAX_US) return TIMEBASE_MEDIA_MAX_US;
  return sum < -TIMEBASE_MEDIA_MAX_US ? -TIMEBASE_MEDIA_MAX_US : sum;
}

/* A counter of 32 bits that has wrapped steps by little. */
static int64_t timestamp_difference(uint64_t now, uint64_t before) {
  if ((now | before) >> 32 == 0) return (int32_t)(uint32_t)(now - before);
  return (int64_t)(now - before);
}

static int64_t unit_us(const struct timebase *t, const struct timebase_track *k, double step) {
  switch (k->ts_unit) {
    case TS_MS:
      return bounded(step * 1e3);
    case TS_RTP_TICKS:
      return bounded(step * 1e6 / t->codec->rtp_clock_hz);
    case TS_SAMPLES:
      return bounded(step * 1e6 / t->codec->sample_rate_hz);
    case TS_US:
      return bounded(step);
    case TS_FRAMES:
      return bounded(step * k->ptime_us);
    case TS_UNDECIDED:
    case TS_UNKNOWN:
      break;
  }
  return 0;
}

static int64_t media_step_us(const struct timebase *t, const struct timebase_track *k, uint64_t timestamp) {
  return unit_us(t, k, (double)timestamp_difference(timestamp, k->timestamp));
}

static bool tells_time(const struct timebase_track *k, const struct timebase_event *event) {
  return event->has_timestamp && k->ts_unit != TS_UNKNOWN && k->ts_unit != TS_UNDECIDED;
}

/* Frame steps of `k` towards this chunk in a counting of the track's own. */
static int64_t own_steps(const struct timebase_track *k, const struct timebase_event *event) {
  return event->has_chunk ? (int64_t)(event->chunk - k->chunk) : 1;
}

/* How many of the numbers between these two a track is known to have: frames that were kept for the
 * decision are placed track by track, so one track's lie ahead of the other's. */
static uint64_t known_between(const struct timebase_track *k, uint64_t low, uint64_t high) {
  uint64_t count = 0;
  for (uint32_t i = 0; i < kept(k); i++) {
    count += k->first[i].has_chunk && k->first[i].chunk - low - 1 < high - low - 1;
  }
  return count;
}

enum shared_step { SHARED_FORWARD, SHARED_BACK, SHARED_LEAP_AHEAD, SHARED_ANEW };

/* Books the chunk in the shared counting. */
static enum shared_step follow_shared(struct timebase *t, enum track track, uint64_t chunk) {
  int64_t step = (int64_t)(chunk - t->shared_last);
  if (!t->shared_started || (step > 0 && step <= SHARED_LEAP)) {
    if (t->shared_started && step > 1) {
      uint64_t between = (uint64_t)step - 1,
               known = known_between(&t->track[1 - track], t->shared_last, chunk);
      t->holes += between > known ? between - known : 0;
    }
    t->shared_started = true;
    t->shared_last = chunk;
    t->leaping = false;
    return SHARED_FORWARD;
  }
  if ((step <= 0 && step >= -SHARED_BEHIND) || has_number(&t->track[track], chunk)) return SHARED_BACK;
  int64_t from_leap = (int64_t)(chunk - t->leap_chunk);
  if (t->leaping && from_leap > 0 && from_leap <= TRACK_COUNT) {
    t->shared_last = chunk;
    t->leaping = false;
    return SHARED_ANEW;
  }
  t->leaping = true;
  t->leap_chunk = chunk;
  return SHARED_LEAP_AHEAD;
}

/* Media time cannot pass over more numbers than the counter did; what it moves beyond that is a pause. */
static int64_t charge(struct timebase *t, int64_t frames) {
  if (frames <= 1) return 1;
  uint64_t charged = (uint64_t)frames - 1 < t->holes ? (uint64_t)frames - 1 : t->holes;
  t->holes -= charged;
  return 1 + (int64_t)charged;
}

/* Frame steps of the track in the shared counting, by its media time. */
static int64_t shared_steps(struct timebase *t, enum track track, const struct timebase_event *event,
                            int64_t media_step) {
  const struct timebase_track *k = &t->track[track];
  bool timed = tells_time(k, event);
  int64_t frames = timed ? llround((double)media_step / k->ptime_us) : 0;
  if (!event->has_chunk) return frames > 0 ? frames : 1;
  switch (follow_shared(t, track, event->chunk)) {
    case SHARED_FORWARD:
      return charge(t, frames);
    /* So far ahead that the ledger waits for a second one, and then begins a segment. */
    case SHARED_LEAP_AHEAD:
      return FAR_AHEAD;
    case SHARED_ANEW:
      return FAR_AHEAD + 1;
    case SHARED_BACK:
      break;
  }
  if (event->chunk == k->chunk) return 0;
  if ((int64_t)(event->chunk - k->chunk) < 0) return timed ? frames : -1;
  /* Overtaken by the other track only. */
  if (t->holes > 0 && !has_number(k, event->chunk)) t->holes--;
  return charge(t, frames);
}

/* A lone frame far ahead must not become the one that others are measured from. */
static bool is_newest(struct timebase_track *k, const struct timebase_event *event, int64_t steps) {
  if (steps <= 0) return false;
  bool follows = k->leaping && event->has_chunk && event->chunk - k->leap_chunk - 1 < TRACK_COUNT;
  k->leaping = steps > SHARED_LEAP && !follows && steps != FAR_AHEAD + 1;
  k->leap_chunk = event->chunk;
  return !k->leaping;
}

void timebase_place(struct timebase *t, enum track track, const struct timebase_event *event,
                    struct timebase_place *place) {
  struct timebase_track *k = &t->track[track];
  if (!k->placed) {
    k->placed = true;
    k->chunk = event->has_chunk ? event->chunk : 0;
    k->timestamp = event->has_timestamp ? event->timestamp : 0;
    if (k->chunk_scope == CHUNK_SHARED && event->has_chunk) follow_shared(t, track, event->chunk);
    k->newest = (struct timebase_place){.number = k->chunk_scope == CHUNK_SHARED ? 0 : k->chunk};
    *place = k->newest;
    return;
  }
  int64_t media_step = tells_time(k, event) ? media_step_us(t, k, event->timestamp) : 0;
  int64_t steps =
      k->chunk_scope == CHUNK_SHARED ? shared_steps(t, track, event, media_step) : own_steps(k, event);
  if (!tells_time(k, event)) media_step = bounded((double)steps * k->ptime_us);
  place->number = k->newest.number + (uint64_t)steps;
  place->media_us = bounded_sum(k->newest.media_us, media_step);
  if (!is_newest(k, event, steps)) return;
  k->newest = *place;
  k->chunk = event->has_chunk ? event->chunk : k->chunk + 1;
  /* Without one the time is counted on in frames, so that the next timestamp is a step from here. */
  if (event->has_timestamp) k->timestamp = event->timestamp;
}

bool timebase_timestamp_us(const struct timebase *t, enum track track, const struct timebase_event *event,
                           int64_t *us) {
  const struct timebase_track *k = &t->track[track];
  if (!tells_time(k, event)) return false;
  *us = unit_us(t, k, (double)event->timestamp);
  return true;
}

uint64_t timebase_unassigned(const struct timebase *t) {
  return t->holes;
}

/* ---- names ---- */

const char *chunk_scope_name(enum chunk_scope scope) {
  return scope == CHUNK_SHARED ? "shared" : "per_track";
}

const char *ts_unit_name(enum ts_unit unit) {
  static const char *const name[] = {
      [TS_UNDECIDED] = "unknown",   [TS_UNKNOWN] = "unknown", [TS_MS] = "ms",
      [TS_RTP_TICKS] = "rtp_ticks", [TS_SAMPLES] = "samples", [TS_US] = "us",
      [TS_FRAMES] = "frames",
  };
  static_assert(sizeof(name) / sizeof(name[0]) == TS_FRAMES + 1, "a name for each unit");
  return name[unit];
}
