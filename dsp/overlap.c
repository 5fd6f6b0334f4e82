#include "dsp/overlap.h"

enum answer { NO, YES, WAIT };

/* The IPU asked about, and both sides of the matter. */
struct question {
  const struct speech_parameters *p;
  struct ipu_lane *own, *other;
  int track;
  struct ipu_span z; /* the front of `own` */
};

struct partner {
  struct ipu_span span;
  bool earlier; /* or at the same time, and decided before */
  bool backchannel;
};

static const struct ruling undecided = {.fate = IPU_UNDECIDED};

static struct ruling rule(const struct question *q, enum ipu_fate fate, enum speech_event_kind kind,
                          int64_t overlap_ms) {
  struct ruling r = {.fate = fate, .has_event = true};
  r.event.kind = (uint8_t)kind;
  r.event.by = kind == SPEECH_SIMULTANEOUS_START ? -1 : (int8_t)q->track;
  r.event.start_ms = (uint32_t)q->z.start_ms;
  r.event.overlap_ms = (uint32_t)overlap_ms;
  return r;
}

/* Is the front of the window of the same group as the last decided one? */
static bool front_follows_last(const struct ipu_lane *lane, const struct speech_parameters *p) {
  return lane->has_last && ipu_at(lane, 0).start_ms - ipu_last(lane).end_ms < p->group_ms;
}

/* Rule 2, by the times alone. There is one partner at most: IPUs of a party are bridge_ms apart. */
static enum answer find_partner(const struct question *q, struct partner *partner) {
  const struct ipu_lane *other = q->other;
  if (other->has_last) {
    struct ipu_span x = ipu_last(other);
    if (q->z.start_ms - x.start_ms < q->p->simultaneous_ms && x.end_ms > q->z.start_ms) {
      *partner = (struct partner){x, true, other->last_fate == IPU_BACKCHANNEL};
      return YES;
    }
  }
  if (other->count) {
    struct ipu_span x = ipu_at(other, 0);
    if (x.start_ms - q->z.start_ms >= q->p->simultaneous_ms) return NO;
    if (q->z.end_ms <= x.start_ms) return q->z.open ? WAIT : NO;
    bool backchannel = front_follows_last(other, q->p) && other->last_fate == IPU_BACKCHANNEL;
    *partner = (struct partner){x, false, backchannel};
    return YES;
  }
  int64_t horizon = ipu_horizon(other);
  if (horizon >= q->z.start_ms + q->p->simultaneous_ms) return NO;
  return !q->z.open && horizon >= q->z.end_ms ? NO : WAIT;
}

/* The group that begins with z: YES when its speech is backchannel_ms or less, with the sum and the end. */
static enum answer group_is_short(const struct question *q, int64_t *speech_ms, int64_t *end_ms) {
  *speech_ms = 0;
  for (unsigned i = 0; i < q->own->count; i++) {
    struct ipu_span y = ipu_at(q->own, i);
    if (i > 0 && y.start_ms - *end_ms >= q->p->group_ms) return YES;
    *speech_ms += y.end_ms - y.start_ms;
    *end_ms = y.end_ms;
    if (*speech_ms > q->p->backchannel_ms) return NO;
    if (y.open) return WAIT;
  }
  return ipu_horizon(q->own) >= *end_ms + q->p->group_ms ? YES : WAIT;
}

/* Does the other speak beyond end_ms, having started at most after_ms later? */
static enum answer other_goes_on(const struct question *q, int64_t end_ms) {
  const struct ipu_lane *other = q->other;
  int64_t limit_ms = end_ms + q->p->after_ms;
  if (other->has_last) {
    struct ipu_span x = ipu_last(other);
    if (x.end_ms > end_ms) return YES;
    if (x.open) return WAIT;
  }
  for (unsigned i = 0; i < other->count; i++) {
    struct ipu_span x = ipu_at(other, i);
    if (x.start_ms > limit_ms) return NO;
    if (x.end_ms > end_ms) return YES;
    if (x.open) return WAIT;
  }
  return ipu_horizon(other) > limit_ms ? NO : WAIT;
}

/* Rule 1, for the group that begins with z. */
static enum answer is_backchannel(const struct question *q, int64_t *speech_ms) {
  if (!q->other->has_last) return NO;
  if (ipu_last(q->other).end_ms < q->z.start_ms - q->p->before_ms) return NO;
  struct partner partner;
  enum answer simultaneous = find_partner(q, &partner);
  if (simultaneous == YES) return NO;
  int64_t end_ms = q->z.end_ms;
  enum answer is_short = group_is_short(q, speech_ms, &end_ms);
  if (is_short != YES) return is_short;
  return simultaneous == WAIT ? WAIT : other_goes_on(q, end_ms);
}

/* Rule 2 for an IPU with a partner. */
static struct ruling rule_simultaneous(const struct question *q, const struct partner *partner) {
  struct ipu_span z = q->z, x = partner->span;
  enum ipu_fate fate = IPU_TURN;
  if (z.end_ms - z.start_ms <= q->p->backchannel_ms) {
    if (z.open || (x.open && x.end_ms <= z.end_ms)) return undecided;
    if (z.end_ms < x.end_ms) fate = IPU_LOST;
  }
  if (!partner->earlier) return (struct ruling){.fate = fate};
  int64_t end_ms = z.end_ms < x.end_ms ? z.end_ms : x.end_ms;
  if ((z.open && z.end_ms == end_ms) || (x.open && x.end_ms == end_ms)) return undecided;
  return rule(q, fate, SPEECH_SIMULTANEOUS_START, end_ms - z.start_ms);
}

/* Takes the further IPUs of the group that start inside x into z. */
static void join_push(struct question *q, struct ipu_span x) {
  while (q->own->count > 1) {
    struct ipu_span next = ipu_at(q->own, 1);
    if (next.start_ms >= x.end_ms || next.start_ms - q->z.end_ms >= q->p->group_ms) break;
    ipu_join_front(q->own);
    q->z = ipu_at(q->own, 0);
  }
}

/* Can no further IPU join the push? */
static bool push_is_whole(const struct question *q, struct ipu_span x) {
  if (q->own->count > 1) {
    return ipu_at(q->own, 1).start_ms - q->z.end_ms >= q->p->group_ms || !x.open;
  }
  int64_t horizon = ipu_horizon(q->own);
  if (!x.open && horizon >= x.end_ms) return true;
  return !q->z.open && horizon >= q->z.end_ms + q->p->group_ms;
}

/* Rule 3b, when the push outlasts x: YES when the other stays away, or is silent again before its end. */
static enum answer other_gives_way(const struct question *q, struct ipu_span x) {
  int64_t back_ms = x.end_ms + q->p->back_ms;
  if (q->other->count == 0) {
    int64_t horizon = ipu_horizon(q->other);
    return horizon >= back_ms || (!q->z.open && horizon >= q->z.end_ms) ? YES : WAIT;
  }
  struct ipu_span back = ipu_at(q->other, 0);
  if (back.start_ms >= back_ms) return YES;
  if (back.start_ms >= q->z.end_ms) return q->z.open ? WAIT : YES;
  if (!back.open && back.end_ms < q->z.end_ms) return YES;
  return !q->z.open && back.end_ms >= q->z.end_ms ? NO : WAIT;
}

/* Rule 3 for the push that begins with z, inside x. */
static struct ruling rule_push(struct question *q, struct ipu_span x) {
  join_push(q, x);
  if (!push_is_whole(q, x)) return undecided;
  int64_t speech_ms = q->z.end_ms - q->z.start_ms - q->own->front_gap_ms;
  if (q->z.end_ms <= x.end_ms) {
    return q->z.open ? undecided : rule(q, IPU_ATTEMPT, SPEECH_ATTEMPT, speech_ms);
  }
  if (x.open) return undecided;
  int64_t overlap_ms = speech_ms - (q->z.end_ms - x.end_ms);
  if (x.end_ms - q->z.start_ms <= q->p->transition_ms) {
    return rule(q, IPU_TURN, SPEECH_OVERLAPPED_TRANSITION, overlap_ms);
  }
  switch (other_gives_way(q, x)) {
    case YES:
      return rule(q, IPU_TURN, SPEECH_INTERRUPTION, overlap_ms);
    case NO:
      return rule(q, IPU_ATTEMPT, SPEECH_ATTEMPT, overlap_ms);
    case WAIT:
      break;
  }
  return undecided;
}

/* NO: the front is known to be no backchannel; remembered, since a group may go on for long. */
static enum answer settle_backchannel(const struct question *q, struct ruling *out) {
  if (q->own->front_cleared) return NO;
  if (front_follows_last(q->own, q->p)) {
    *out = (struct ruling){.fate = IPU_BACKCHANNEL};
    if (q->own->last_fate == IPU_BACKCHANNEL) return YES;
  } else {
    int64_t speech_ms = 0;
    enum answer answer = is_backchannel(q, &speech_ms);
    if (answer == YES) *out = rule(q, IPU_BACKCHANNEL, SPEECH_BACKCHANNEL, speech_ms);
    if (answer != NO) return answer;
  }
  q->own->front_cleared = true;
  return NO;
}

struct ruling overlap_rule(struct ipu_lane lanes[2], const struct speech_parameters *p, int track) {
  struct question q = {p, &lanes[track], &lanes[1 - track], track, ipu_at(&lanes[track], 0)};
  struct ipu_span x = {0};
  if (q.other->has_last) {
    x = ipu_last(q.other);
    if (x.open && x.end_ms <= q.z.start_ms) return undecided; /* it may go on through z's start */
  }
  struct ruling r = undecided;
  enum answer backchannel = settle_backchannel(&q, &r);
  if (backchannel != NO) return backchannel == YES ? r : undecided;
  if (!q.own->front_push) {
    struct partner partner;
    enum answer simultaneous = find_partner(&q, &partner);
    if (simultaneous == WAIT) return undecided;
    if (simultaneous == YES && !partner.backchannel) return rule_simultaneous(&q, &partner);
  }
  bool inside = q.other->has_last && q.other->last_fate != IPU_BACKCHANNEL && q.z.start_ms < x.end_ms;
  if (!inside) return (struct ruling){.fate = IPU_TURN};
  q.own->front_push = true;
  return rule_push(&q, x);
}
