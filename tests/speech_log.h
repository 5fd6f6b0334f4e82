/* What the observer of dsp/speech was told, and the comparison of that and of the facts with the slow model. */
#ifndef TESTS_SPEECH_LOG_H
#define TESTS_SPEECH_LOG_H

#include <stdio.h>

#include "dsp/speech_facts.h"
#include "tests/speech_model.h"

struct speech_log {
  int ipus, turns, ftos, pauses, events;
  struct m_span ipu[2 * MODEL_IPUS], turn[MODEL_NOTES];
  struct m_number fto[MODEL_NOTES], pause[MODEL_NOTES];
  struct speech_event event[MODEL_NOTES];
};

static inline void log_note(void *arg, const struct speech_note *note) {
  struct speech_log *log = arg;
  struct m_span span = {note->track, (int)note->start_ms, (int)note->end_ms};
  struct m_number number = {note->track, (int)note->ms};
  if (note->kind == SPEECH_IPU) log->ipu[log->ipus++] = span;
  if (note->kind == SPEECH_TURN) log->turn[log->turns++] = span;
  if (note->kind == SPEECH_FTO) log->fto[log->ftos++] = number;
  if (note->kind == SPEECH_PAUSE) log->pause[log->pauses++] = number;
  if (note->kind == SPEECH_EVENT) log->event[log->events++] = note->event;
}

static inline int by_span(const void *a, const void *b) {
  const struct m_span *x = a, *y = b;
  if (x->s != y->s) return x->s - y->s;
  return x->track != y->track ? x->track - y->track : x->e - y->e;
}

static inline int by_number(const void *a, const void *b) {
  const struct m_number *x = a, *y = b;
  return x->track != y->track ? x->track - y->track : x->ms - y->ms;
}

static inline int by_event(const void *a, const void *b) {
  const struct speech_event *x = a, *y = b;
  if (x->start_ms != y->start_ms) return x->start_ms < y->start_ms ? -1 : 1;
  if (x->by != y->by) return x->by - y->by;
  return x->kind != y->kind ? x->kind - y->kind : (int)x->overlap_ms - (int)y->overlap_ms;
}

/* NULL, or what is different. Sorts the lists of both. */
static inline const char *lists_differ(struct model *m, struct speech_log *log) {
  if (log->turns != m->turn_count || log->ftos != m->fto_count || log->pauses != m->pause_count ||
      log->events != m->event_count || log->ipus != m->n[0] + m->n[1]) {
    return "a count";
  }
  qsort(log->ipu, (size_t)log->ipus, sizeof log->ipu[0], by_span);
  for (int i = 0, at[2] = {0, 0}; i < log->ipus; i++) {
    int t = log->ipu[i].track;
    const struct m_ipu *ipu = &m->ipu[t][at[t]++];
    if (ipu->s != log->ipu[i].s || ipu->e != log->ipu[i].e) return "IPUs";
  }
  qsort(log->turn, (size_t)log->turns, sizeof log->turn[0], by_span);
  qsort(m->turn, (size_t)m->turn_count, sizeof m->turn[0], by_span);
  qsort(log->fto, (size_t)log->ftos, sizeof log->fto[0], by_number);
  qsort(m->fto, (size_t)m->fto_count, sizeof m->fto[0], by_number);
  qsort(log->pause, (size_t)log->pauses, sizeof log->pause[0], by_number);
  qsort(m->pause, (size_t)m->pause_count, sizeof m->pause[0], by_number);
  qsort(m->event, (size_t)m->event_count, sizeof m->event[0], by_event);
  for (int i = 1; i < log->events; i++) {
    if (log->event[i].start_ms < log->event[i - 1].start_ms) return "the order of events";
  }
  qsort(log->event, (size_t)log->events, sizeof log->event[0], by_event);
  for (int i = 0; i < log->turns; i++) {
    if (by_span(&log->turn[i], &m->turn[i])) return "turns";
  }
  for (int i = 0; i < log->ftos; i++) {
    if (by_number(&log->fto[i], &m->fto[i])) return "FTOs";
  }
  for (int i = 0; i < log->pauses; i++) {
    if (by_number(&log->pause[i], &m->pause[i])) return "pauses";
  }
  for (int i = 0; i < log->events; i++) {
    if (by_event(&log->event[i], &m->event[i])) return "events";
  }
  return NULL;
}

/* The facts that the model's lists stand for, without response times and sums by fate. */
static inline void model_facts(const struct model *m, struct speech_facts *f) {
  memset(f, 0, sizeof *f);
  f->duration_ms = (uint64_t)m->T;
  f->overlap_ms = (uint64_t)m->overlap;
  f->silence_ms = (uint64_t)m->silence;
  f->dead_airs = (uint64_t)m->dead;
  f->dead_air_ms = (uint64_t)m->dead_ms;
  for (int t = 0; t < 2; t++) {
    f->talk_ms[t] = (uint64_t)m->talk[t];
    if (m->n[t]) f->first_speech_ms[t] = (uint64_t)m->ipu[t][0].s;
    for (int i = 0; i < m->n[t]; i++) {
      const struct m_ipu *y = &m->ipu[t][i];
      uint64_t *sum = y->bc        ? &f->backchannel_ms[t]
                      : y->lost    ? &f->lost_ms[t]
                      : y->attempt ? &f->attempt_ms[t]
                                   : &f->turn_speech_ms[t];
      *sum += (uint64_t)(y->e - y->s);
    }
  }
  for (int i = 0; i < m->turn_count; i++) {
    uint64_t length = (uint64_t)(m->turn[i].e - m->turn[i].s);
    int t = m->turn[i].track;
    f->turns[t]++;
    f->turn_ms[t] += length;
    if (length > f->longest_monologue_ms[t]) f->longest_monologue_ms[t] = length;
  }
  for (int i = 0; i < m->pause_count; i++) {
    f->pauses[m->pause[i].track]++;
    f->pause_ms[m->pause[i].track] += (uint64_t)m->pause[i].ms;
  }
  for (int i = 0; i < m->fto_count; i++) {
    int t = m->fto[i].track, ms = m->fto[i].ms;
    f->changes[t]++;
    f->fto_sum_ms[t] += ms;
    if (ms <= 0) continue;
    f->responses[t]++;
    f->response_sum_ms[t] += (uint64_t)ms;
    if (ms >= 10000) f->response_over_ms[t] += (uint64_t)ms;
    f->response_buckets[t][ms < 10000 ? ms / 10 : 1000]++;
  }
  for (int i = 0; i < m->event_count; i++) {
    const struct speech_event *event = &m->event[i];
    int t = event->by;
    f->simultaneous_starts += event->kind == SPEECH_SIMULTANEOUS_START;
    f->transitions += event->kind == SPEECH_OVERLAPPED_TRANSITION;
    if (event->kind == SPEECH_BACKCHANNEL) f->backchannels[t]++;
    if (event->kind == SPEECH_INTERRUPTION) f->interruptions[t]++;
    if (event->kind == SPEECH_ATTEMPT) f->attempts[t]++;
    if (event->kind == SPEECH_INTERRUPTION) f->interruption_overlap_ms[t] += event->overlap_ms;
    if (event->kind == SPEECH_ATTEMPT) f->attempt_overlap_ms[t] += event->overlap_ms;
  }
  f->events_total = (uint64_t)m->event_count;
}

/* The name of the first row that differs, or NULL. `present` is not the model's matter. */
static inline const char *facts_differ(const struct speech_facts *a, const struct speech_facts *b) {
  for (size_t i = 0; i < speech_field_count; i++) {
    const struct field *row = &speech_fields[i];
    if (row->offset == offsetof(struct speech_facts, present)) continue;
    const char *x = (const char *)a + row->offset, *y = (const char *)b + row->offset;
    if (memcmp(x, y, row->count * 8) != 0) return row->name;
  }
  return NULL;
}

/* The same for the stored events, whose order counts. Not memcmp(): an event has padding. */
static inline const char *events_differ(const struct speech_facts *a, const struct speech_facts *b) {
  if (a->event_count != b->event_count) return "event_count";
  for (uint64_t i = 0; i < a->event_count; i++) {
    if (by_event(&a->events[i], &b->events[i]) != 0) return "events";
  }
  return NULL;
}

static inline void print_call(const struct call *call) {
  fprintf(stderr, "T %d\n", call->T);
  for (int t = 0; t < 2; t++) {
    fprintf(stderr, "track %d:", t);
    for (int i = 0; i < call->T; i++) {
      if (!call->raw[t][i]) continue;
      int s = i;
      while (i < call->T && call->raw[t][i]) i++;
      fprintf(stderr, " %d-%d", s, i);
    }
    fprintf(stderr, "\n");
  }
}

#endif
