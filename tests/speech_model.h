/* A second, slow and plain reading of speech-metrics.md 1 to 3 to hold dsp/speech against: a bit for each
 * millisecond, everything known from the start, rules in the order of the text over all pairs.
 * Shares nothing with dsp/ but the event's struct. */
#ifndef TESTS_SPEECH_MODEL_H
#define TESTS_SPEECH_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dsp/speech.h"

enum { MODEL_MS = 120000, MODEL_IPUS = 700, MODEL_NOTES = 4000 };

struct call {
  int T;
  bool raw[2][MODEL_MS];
};

struct m_ipu {
  int s, e, group;
  bool bc, lost, attempt;
};
struct m_span {
  int track, s, e;
};
struct m_number {
  int track, ms;
};

struct model {
  int T, n[2];
  struct m_ipu ipu[2][MODEL_IPUS];
  bool speech[2][MODEL_MS];
  int talk[2], overlap, silence, dead, dead_ms;
  int turn_count, fto_count, pause_count, event_count;
  struct m_span turn[MODEL_NOTES];
  struct m_number fto[MODEL_NOTES], pause[MODEL_NOTES];
  struct speech_event event[MODEL_NOTES];
};

static inline int m_min(int a, int b) {
  return a < b ? a : b;
}

static inline void m_ipus(struct model *m, const struct call *call, int t) {
  bool *speech = m->speech[t];
  memcpy(speech, call->raw[t], sizeof m->speech[t]);
  for (int i = 0, end = -1; i < m->T; i++) {
    if (!speech[i]) continue;
    if (end >= 0 && i - end < 200) memset(speech + end, 1, (size_t)(i - end));
    end = i + 1;
  }
  m->n[t] = 0;
  for (int i = 0; i < m->T; i++) {
    if (!speech[i]) continue;
    int s = i;
    while (i < m->T && speech[i]) i++;
    if (i - s < 100) {
      memset(speech + s, 0, (size_t)(i - s));
    } else {
      struct m_ipu *ipu = &m->ipu[t][m->n[t]++];
      *ipu = (struct m_ipu){s, i, 0, false, false, false};
      if (m->n[t] > 1) ipu->group = ipu[-1].group + (s - ipu[-1].e >= 1000);
    }
  }
}

static inline void m_event(struct model *m, int kind, int by, int s, int overlap) {
  m->event[m->event_count++] =
      (struct speech_event){(uint8_t)kind, (int8_t)by, (uint32_t)s, (uint32_t)overlap};
}

static inline bool m_together(const struct m_ipu *x, const struct m_ipu *y) {
  return x->s < y->e && y->s < x->e && abs(x->s - y->s) < 200;
}

static inline void m_backchannels(struct model *m, int t) {
  int o = 1 - t;
  for (int i = 0, k; i < m->n[t]; i = k) {
    int p = 0;
    for (k = i; k < m->n[t] && m->ipu[t][k].group == m->ipu[t][i].group; k++) {
      p += m->ipu[t][k].e - m->ipu[t][k].s;
    }
    int s = m->ipu[t][i].s, e = m->ipu[t][k - 1].e;
    bool before = false, after = false, together = false;
    for (int j = 0; j < m->n[o]; j++) {
      const struct m_ipu *x = &m->ipu[o][j];
      before |= x->s < s && x->e >= s - 1000;
      after |= x->e > e && x->s <= e + 1000;
      together |= m_together(x, &m->ipu[t][i]);
    }
    if (p > 1000 || !before || !after || together) continue;
    m_event(m, SPEECH_BACKCHANNEL, t, s, p);
    for (int j = i; j < k; j++) m->ipu[t][j].bc = true;
  }
}

static inline void m_simultaneous(struct model *m) {
  for (int i = 0; i < m->n[0]; i++) {
    for (int j = 0; j < m->n[1]; j++) {
      struct m_ipu *a = &m->ipu[0][i], *b = &m->ipu[1][j];
      if (!m_together(a, b) || a->bc || b->bc) continue;
      int s = a->s > b->s ? a->s : b->s;
      m_event(m, SPEECH_SIMULTANEOUS_START, -1, s, m_min(a->e, b->e) - s);
      if (a->e - a->s <= 1000 && a->e < b->e) a->lost = true;
      if (b->e - b->s <= 1000 && b->e < a->e) b->lost = true;
    }
  }
}

static inline bool m_in_pair(const struct model *m, int t, const struct m_ipu *y) {
  for (int j = 0; j < m->n[1 - t]; j++) {
    if (!m->ipu[1 - t][j].bc && m_together(y, &m->ipu[1 - t][j])) return true;
  }
  return false;
}

/* Rule 3 for IPU i of track o and the group of the other track `t`. */
static inline void m_push(struct model *m, int o, int i, int group) {
  int t = 1 - o, s = -1, e = -1, overlap = 0;
  const struct m_ipu *x = &m->ipu[o][i];
  bool taken[MODEL_IPUS] = {false};
  for (int j = 0; j < m->n[t]; j++) {
    const struct m_ipu *y = &m->ipu[t][j];
    if (y->group != group || y->bc || y->s < x->s || y->s >= x->e || m_in_pair(m, t, y)) continue;
    if (s < 0) s = y->s;
    e = y->e;
    overlap += m_min(y->e, x->e) - y->s;
    taken[j] = true;
  }
  if (s < 0) return;
  if (e > x->e && x->e - s <= 500) {
    m_event(m, SPEECH_OVERLAPPED_TRANSITION, t, s, overlap);
    return;
  }
  if (e > x->e) {
    bool silent = true, short_return = false;
    for (int at = x->e; at < m_min(x->e + 1000, e); at++) silent &= !m->speech[o][at];
    if (i + 1 < m->n[o]) short_return = m->ipu[o][i + 1].e < e;
    if (silent || short_return) {
      m_event(m, SPEECH_INTERRUPTION, t, s, overlap);
      return;
    }
  }
  m_event(m, SPEECH_ATTEMPT, t, s, overlap);
  for (int j = 0; j < m->n[t]; j++) m->ipu[t][j].attempt |= taken[j];
}

static inline void m_pushes(struct model *m, int o) {
  for (int i = 0; i < m->n[o]; i++) {
    if (m->ipu[o][i].bc) continue;
    int groups = m->n[1 - o] ? m->ipu[1 - o][m->n[1 - o] - 1].group : -1;
    for (int g = 0; g <= groups; g++) m_push(m, o, i, g);
  }
}

struct m_place {
  int track, s, e;
};

static inline int m_by_start(const void *a, const void *b) {
  const struct m_place *x = a, *y = b;
  return x->s != y->s ? x->s - y->s : x->track - y->track;
}

/* Is [.., place) of the same track as the turn, and close enough to join it? */
static inline bool m_joins(const struct m_span *turn, const struct m_place *place) {
  return turn->track == place->track && place->s - turn->e < 3000;
}

/* Which of two that start together comes first; 2: they are equal. */
static inline int m_first_of_two(int holder, const struct m_place *a, const struct m_place *b) {
  if (holder == 0 || holder == 1) return holder;
  return a->e == b->e ? 2 : a->e > b->e;
}

struct m_order {
  int holder; /* -1 none, 2 both */
  struct m_span open[2];
};

static inline void m_take(struct model *m, struct m_order *o, const struct m_place *z) {
  int t = z->track;
  if (o->holder == t && m_joins(&o->open[t], z)) {
    o->open[t].e = z->e;
    return;
  }
  if (o->holder == 2 || o->holder == t) m->turn[m->turn_count++] = o->open[t];
  if (o->holder == 2 || o->holder == 1 - t) {
    m->turn[m->turn_count++] = o->open[1 - t];
    m->fto[m->fto_count++] = (struct m_number){t, z->s - o->open[1 - t].e};
  }
  o->open[t] = (struct m_span){t, z->s, z->e};
  o->holder = t;
}

static inline void m_take_both(struct model *m, struct m_order *o, const struct m_place *z) {
  for (int t = 0; t < 2; t++) {
    if (o->holder == 2 && m_joins(&o->open[t], &z[t])) {
      o->open[t].e = z[t].e;
      continue;
    }
    if (o->holder == 2) m->turn[m->turn_count++] = o->open[t];
    o->open[t] = (struct m_span){t, z[t].s, z[t].e};
  }
  o->holder = 2;
}

static inline void m_turns(struct model *m) {
  static struct m_place place[2 * MODEL_IPUS];
  int n = 0;
  for (int t = 0; t < 2; t++) {
    for (int i = 0; i < m->n[t]; i++) {
      const struct m_ipu *y = &m->ipu[t][i];
      if (!y->bc && !y->lost && !y->attempt) place[n++] = (struct m_place){t, y->s, y->e};
    }
  }
  qsort(place, (size_t)n, sizeof place[0], m_by_start);
  struct m_order order = {.holder = -1};
  for (int i = 0; i < n; i++) {
    if (i + 1 == n || place[i].s != place[i + 1].s) {
      m_take(m, &order, &place[i]);
      continue;
    }
    int first = m_first_of_two(order.holder, &place[i], &place[i + 1]);
    if (first == 2) {
      m_take_both(m, &order, &place[i]);
    } else {
      m_take(m, &order, &place[i + first]);
      m_take(m, &order, &place[i + 1 - first]);
    }
    i++;
  }
  for (int t = 0; t < 2; t++) {
    if (order.holder == t || order.holder == 2) m->turn[m->turn_count++] = order.open[t];
  }
}

static inline void m_silences(struct model *m) {
  for (int i = 0; i < m->T; i++) {
    if (m->speech[0][i] || m->speech[1][i]) continue;
    int s = i;
    while (i < m->T && !m->speech[0][i] && !m->speech[1][i]) i++;
    if (i - s >= 3000) {
      m->dead++;
      m->dead_ms += i - s;
    }
    for (int k = 0; k < m->turn_count; k++) {
      if (m->turn[k].s <= s && i <= m->turn[k].e) {
        m->pause[m->pause_count++] = (struct m_number){m->turn[k].track, i - s};
      }
    }
  }
}

static inline void model_run(struct model *m, const struct call *call) {
  m->T = call->T;
  m->talk[0] = m->talk[1] = m->overlap = m->silence = m->dead = m->dead_ms = 0;
  m->turn_count = m->fto_count = m->pause_count = m->event_count = 0;
  for (int t = 0; t < 2; t++) m_ipus(m, call, t);
  for (int i = 0; i < m->T; i++) {
    m->talk[0] += m->speech[0][i];
    m->talk[1] += m->speech[1][i];
    m->overlap += m->speech[0][i] && m->speech[1][i];
    m->silence += !m->speech[0][i] && !m->speech[1][i];
  }
  for (int t = 0; t < 2; t++) m_backchannels(m, t);
  m_simultaneous(m);
  for (int t = 0; t < 2; t++) m_pushes(m, t);
  m_turns(m);
  m_silences(m);
}

#endif
