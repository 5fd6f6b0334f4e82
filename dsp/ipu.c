#include "dsp/ipu.h"

static struct ipu *newest(struct ipu_lane *lane) {
  return lane->count ? &lane->window[(lane->head + lane->count - 1u) % IPU_WINDOW] : &lane->last;
}

static bool close_run(struct ipu_lane *lane, struct ipu *closed) {
  bool complete = lane->running && lane->confirmed;
  if (complete) {
    *closed = (struct ipu){(uint32_t)lane->run_start_ms, (uint32_t)lane->run_end_ms};
  }
  lane->running = lane->confirmed = false;
  return complete;
}

static void add_speech(struct ipu_lane *lane, const struct speech_parameters *p, int64_t to_ms) {
  lane->run_end_ms = to_ms;
  if (lane->confirmed) {
    newest(lane)->end_ms = (uint32_t)to_ms;
  } else if (to_ms - lane->run_start_ms >= p->discard_ms) {
    lane->confirmed = true;
    lane->window[(lane->head + lane->count++) % IPU_WINDOW] =
        (struct ipu){(uint32_t)lane->run_start_ms, (uint32_t)to_ms};
  }
}

/* A gap of no length is never one, whatever bridge_ms says: pieces may be of any size. */
static bool gap_ends_run(const struct ipu_lane *lane, const struct speech_parameters *p, int64_t until_ms) {
  return lane->running && until_ms > lane->run_end_ms && until_ms - lane->run_end_ms >= p->bridge_ms;
}

bool ipu_feed(struct ipu_lane *lane, const struct speech_parameters *p, int64_t from_ms, int64_t to_ms,
              bool speech, struct ipu *closed) {
  lane->present = true;
  if (to_ms > UINT32_MAX) to_ms = UINT32_MAX;
  if (from_ms < lane->known_ms) from_ms = lane->known_ms;
  if (to_ms <= from_ms) return false;
  bool complete = gap_ends_run(lane, p, speech ? from_ms : to_ms) && close_run(lane, closed);
  /* A run too short to be an IPU ends the same way, without being told. */
  if (speech) {
    if (!lane->running) {
      lane->running = true;
      lane->run_start_ms = from_ms;
    }
    add_speech(lane, p, to_ms);
  }
  lane->known_ms = to_ms;
  return complete;
}

bool ipu_end(struct ipu_lane *lane, struct ipu *closed) {
  lane->ended = true;
  return close_run(lane, closed);
}

int64_t ipu_horizon(const struct ipu_lane *lane) {
  if (lane->ended) return INT64_MAX;
  return lane->running && !lane->confirmed ? lane->run_start_ms : lane->known_ms;
}

static struct ipu_span span_of(const struct ipu_lane *lane, const struct ipu *ipu, bool is_newest) {
  return (struct ipu_span){ipu->start_ms, ipu->end_ms, is_newest && lane->confirmed && !lane->ended};
}

struct ipu_span ipu_at(const struct ipu_lane *lane, unsigned i) {
  return span_of(lane, &lane->window[(lane->head + i) % IPU_WINDOW], i + 1 == lane->count);
}

struct ipu_span ipu_last(const struct ipu_lane *lane) {
  return span_of(lane, &lane->last, lane->count == 0);
}

static void drop_front(struct ipu_lane *lane) {
  lane->head = (uint16_t)((lane->head + 1) % IPU_WINDOW);
  lane->count--;
}

void ipu_join_front(struct ipu_lane *lane) {
  struct ipu first = lane->window[lane->head];
  drop_front(lane);
  struct ipu *front = &lane->window[lane->head];
  lane->front_gap_ms += front->start_ms - first.end_ms;
  front->start_ms = first.start_ms;
}

void ipu_decided(struct ipu_lane *lane, enum ipu_fate fate) {
  lane->last = lane->window[lane->head];
  lane->has_last = true;
  lane->last_fate = (uint8_t)fate;
  lane->last_gap_ms = lane->front_gap_ms;
  lane->front_gap_ms = 0;
  lane->front_cleared = lane->front_push = false;
  drop_front(lane);
}
