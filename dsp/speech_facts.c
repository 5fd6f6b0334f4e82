#include "dsp/speech_facts.h"

#include <assert.h>
#include <string.h>

#define JOINT(member_, merge_) FIELD(speech_facts, member_, FIELD_U64, merge_)
#define PAIR(member_, merge_)  FIELD_ARRAY(speech_facts, member_, FIELD_U64, merge_, SPEECH_TRACKS)

const struct field speech_fields[] = {
    JOINT(duration_ms, MERGE_SUM),
    JOINT(overlap_ms, MERGE_SUM),
    JOINT(silence_ms, MERGE_SUM),
    JOINT(dead_airs, MERGE_SUM),
    JOINT(dead_air_ms, MERGE_SUM),
    JOINT(simultaneous_starts, MERGE_SUM),
    JOINT(transitions, MERGE_SUM),
    JOINT(forced_cuts, MERGE_SUM),
    PAIR(present, MERGE_MAX),
    PAIR(talk_ms, MERGE_SUM),
    PAIR(turns, MERGE_SUM),
    PAIR(turn_ms, MERGE_SUM),
    PAIR(longest_monologue_ms, MERGE_MAX),
    PAIR(pauses, MERGE_SUM),
    PAIR(pause_ms, MERGE_SUM),
    PAIR(interruptions, MERGE_SUM),
    PAIR(attempts, MERGE_SUM),
    PAIR(backchannels, MERGE_SUM),
    PAIR(interruption_overlap_ms, MERGE_SUM),
    PAIR(attempt_overlap_ms, MERGE_SUM),
    PAIR(turn_speech_ms, MERGE_SUM),
    PAIR(backchannel_ms, MERGE_SUM),
    PAIR(attempt_ms, MERGE_SUM),
    PAIR(lost_ms, MERGE_SUM),
    PAIR(first_speech_ms, MERGE_FIRST),
    PAIR(changes, MERGE_SUM),
    FIELD_ARRAY(speech_facts, fto_sum_ms, FIELD_I64, MERGE_SUM, SPEECH_TRACKS),
    PAIR(responses, MERGE_SUM),
    PAIR(response_sum_ms, MERGE_SUM),
    PAIR(response_over_ms, MERGE_SUM),
    FIELD_ARRAY(speech_facts, response_buckets, FIELD_U64, MERGE_SUM, SPEECH_TRACKS *RESPONSE_BUCKETS),
    JOINT(events_total, MERGE_SUM),
};
const size_t speech_field_count = sizeof speech_fields / sizeof speech_fields[0];

static uint32_t shifted(uint32_t start_ms, int64_t shift_ms) {
  int64_t at = (int64_t)start_ms + shift_ms;
  if (at < 0) return 0;
  return at > UINT32_MAX ? UINT32_MAX : (uint32_t)at;
}

void speech_facts_merge(struct speech_facts *into, const struct speech_facts *from, int64_t shift_ms) {
  for (int t = 0; t < SPEECH_TRACKS; t++) {
    if (into->talk_ms[t] == 0 && from->talk_ms[t] > 0) {
      int64_t first = (int64_t)from->first_speech_ms[t] + shift_ms;
      into->first_speech_ms[t] = first > 0 ? (uint64_t)first : 0;
    }
  }
  fields_merge(speech_fields, speech_field_count, into, from);
  for (uint64_t i = 0; i < from->event_count && into->event_count < SPEECH_EVENTS_MAX; i++) {
    struct speech_event event = from->events[i];
    event.start_ms = shifted(event.start_ms, shift_ms);
    into->events[into->event_count++] = event;
  }
}

void speech_facts_fto(struct speech_facts *facts, int track, int64_t fto_ms) {
  facts->changes[track]++;
  facts->fto_sum_ms[track] += fto_ms;
  if (fto_ms <= 0) return;
  facts->responses[track]++;
  facts->response_sum_ms[track] += (uint64_t)fto_ms;
  if (fto_ms >= RESPONSE_LIMIT_MS) {
    facts->response_over_ms[track] += (uint64_t)fto_ms;
    facts->response_buckets[track][RESPONSE_BUCKETS - 1]++;
  } else {
    facts->response_buckets[track][fto_ms / RESPONSE_BUCKET_MS]++;
  }
}

static void count_event(struct speech_facts *facts, const struct speech_event *event) {
  switch ((enum speech_event_kind)event->kind) {
    case SPEECH_BACKCHANNEL:
      facts->backchannels[event->by]++;
      break;
    case SPEECH_SIMULTANEOUS_START:
      facts->simultaneous_starts++;
      break;
    case SPEECH_OVERLAPPED_TRANSITION:
      facts->transitions++;
      break;
    case SPEECH_INTERRUPTION:
      facts->interruptions[event->by]++;
      facts->interruption_overlap_ms[event->by] += event->overlap_ms;
      break;
    case SPEECH_ATTEMPT:
      facts->attempts[event->by]++;
      facts->attempt_overlap_ms[event->by] += event->overlap_ms;
      break;
  }
}

void speech_facts_event(struct speech_facts *facts, struct speech_event event) {
  count_event(facts, &event);
  facts->events_total++;
  if (facts->event_count < SPEECH_EVENTS_MAX) facts->events[facts->event_count++] = event;
}

/* The response of this rank, 1 being the shortest. */
static double response_of_rank(const struct speech_facts *facts, int track, uint64_t rank) {
  const uint64_t *buckets = facts->response_buckets[track];
  uint64_t seen = 0;
  for (int i = 0; i < RESPONSE_BUCKETS - 1; i++) {
    seen += buckets[i];
    if (seen >= rank) return (double)i * RESPONSE_BUCKET_MS;
  }
  uint64_t over = buckets[RESPONSE_BUCKETS - 1];
  return over ? (double)facts->response_over_ms[track] / (double)over : RESPONSE_LIMIT_MS;
}

struct speech_response speech_response_ms(const struct speech_facts *facts, int track) {
  uint64_t n = facts->responses[track];
  struct speech_response figures = {.n = n};
  if (n == 0) return figures;
  figures.mean_ms = (double)facts->response_sum_ms[track] / (double)n;
  figures.median_ms =
      (response_of_rank(facts, track, (n + 1) / 2) + response_of_rank(facts, track, n / 2 + 1)) / 2;
  figures.p90_ms = response_of_rank(facts, track, (n * 9 + 9) / 10);
  return figures;
}
