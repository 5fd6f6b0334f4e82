#include "dsp/ledger.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

static_assert(LEDGER_SLOTS > LEDGER_DEPTH + 1, "a number keeps its slot until it is popped");
static_assert(LEDGER_MEMORY > LEDGER_LEAP_FRAMES, "the longest hole is remembered");

/* Numbers are compared by their wrapping difference, so that a counter may pass 2^64. */
static int64_t ahead(uint64_t number, uint64_t of) {
  return (int64_t)(number - of);
}

static uint64_t without_jumps(const struct ledger *l, uint64_t number) {
  return number - (ahead(number, l->removed_at) >= 0 ? l->removed : l->removed_before);
}

static struct ledger_slot *slot_of(struct ledger *l, uint64_t n) {
  return &l->slot[n % LEDGER_SLOTS];
}

static bool was_missing(const struct ledger *l, uint64_t n) {
  if (ahead(n, l->base) < 0 || ahead(l->next, n) <= 0 || ahead(l->next, n) > LEDGER_MEMORY) return false;
  return l->was_missing[n % LEDGER_MEMORY / 64] >> (n % 64) & 1;
}

static void remember(struct ledger *l, uint64_t n, bool missing) {
  uint64_t *word = &l->was_missing[n % LEDGER_MEMORY / 64];
  uint64_t bit = UINT64_C(1) << (n % 64);
  *word = missing ? *word | bit : *word & ~bit;
}

void ledger_init(struct ledger *l) {
  memset(l, 0, sizeof(*l));
}

/* A number set aside that nothing followed. */
static enum ledger_held book_lone(struct ledger *l) {
  uint64_t n = without_jumps(l, l->held);
  l->holding = false;
  if (ahead(n, l->highest) > 0) {
    l->outliers++;
    return HELD_OUTLIER;
  }
  if (was_missing(l, n)) {
    remember(l, n, false);
    l->received++;
    l->late++;
    return HELD_LATE;
  }
  l->duplicates++;
  return HELD_DUPLICATE;
}

enum ledger_held ledger_settle(struct ledger *l, uint64_t number, int64_t arrival_us) {
  if (!l->holding) return HELD_NONE;
  if (number == l->held + 1 && arrival_us - l->held_us < LEDGER_WAIT_US) {
    l->holding = false;
    return HELD_RESTART;
  }
  return book_lone(l);
}

enum ledger_held ledger_give_up(struct ledger *l, int64_t now_us, bool end) {
  if (!l->holding || (!end && now_us - l->held_us < LEDGER_WAIT_US)) return HELD_NONE;
  return book_lone(l);
}

bool ledger_is_next(const struct ledger *l, uint64_t number) {
  int64_t distance = ahead(without_jumps(l, number), l->highest);
  return l->open && distance > 0 && distance <= LEDGER_LEAP_FRAMES;
}

uint64_t ledger_hole(const struct ledger *l, uint64_t number) {
  return ledger_is_next(l, number) ? without_jumps(l, number) - l->highest - 1 : 0;
}

void ledger_numbering_jump(struct ledger *l, uint64_t number) {
  uint64_t hole = ledger_hole(l, number);
  l->removed_before = number - without_jumps(l, number);
  l->removed = l->removed_before + hole;
  l->removed_at = number;
  l->numbering_jumps++;
}

/* The numbers from `next` up to but without `end` that are all missing. */
static void pop_missing(struct ledger *l, uint64_t end, struct ledger_run *run) {
  *run = (struct ledger_run){.missing = true};
  while (l->next != end && (ahead(l->next, l->highest) > 0 || !slot_of(l, l->next)->received)) {
    remember(l, l->next, true);
    l->next++;
    run->count++;
  }
}

bool ledger_pop(struct ledger *l, uint64_t number, bool all, struct ledger_run *run) {
  if (!l->open) return false;
  int64_t distance = ahead(without_jumps(l, number), l->highest);
  if (!all && (distance <= 0 || distance > LEDGER_LEAP_FRAMES)) return false;
  uint64_t end = all ? l->highest + 1 : l->highest + (uint64_t)distance - LEDGER_DEPTH;
  if (ahead(end, l->next) <= 0) return false;

  const struct ledger_slot *slot = slot_of(l, l->next);
  if (ahead(l->next, l->highest) > 0 || !slot->received) {
    pop_missing(l, end, run);
  } else {
    *run = (struct ledger_run){.late = slot->late, .count = 1, .note = slot->note};
    remember(l, l->next, false);
    l->next++;
  }
  l->popped += run->count;
  return true;
}

static void begin_segment(struct ledger *l, uint64_t number, int64_t arrival_us) {
  l->open = true;
  l->base = l->highest = l->next = number;
  memset(l->slot, 0, sizeof(l->slot));
  *slot_of(l, number) = (struct ledger_slot){.received = true, .overtaken_us = arrival_us};
  l->received++;
}

static void advance(struct ledger *l, uint64_t n, int64_t arrival_us) {
  /* The numbers of a long step that are further back were popped as missing before this. */
  uint64_t first = n - l->highest > LEDGER_DEPTH ? n - LEDGER_DEPTH : l->highest + 1;
  for (uint64_t missing = first; missing != n; missing++) {
    *slot_of(l, missing) = (struct ledger_slot){.overtaken_us = arrival_us};
  }
  *slot_of(l, n) = (struct ledger_slot){.received = true, .overtaken_us = arrival_us};
  l->highest = n;
  l->received++;
}

/* The first frames of a segment came out of order: it begins earlier than was thought. */
static void lower_base(struct ledger *l, uint64_t n) {
  int64_t overtaken_us = slot_of(l, l->base)->overtaken_us;
  for (uint64_t missing = n; missing != l->base; missing++) {
    *slot_of(l, missing) = (struct ledger_slot){.overtaken_us = overtaken_us};
  }
  l->base = l->next = n;
}

enum ledger_verdict ledger_add(struct ledger *l, uint64_t number, int64_t arrival_us) {
  uint64_t n = without_jumps(l, number);
  if (!l->open) {
    begin_segment(l, n, arrival_us);
    return LEDGER_NEW;
  }
  int64_t distance = ahead(n, l->highest);
  if (distance < -LEDGER_DEPTH || distance > LEDGER_LEAP_FRAMES) {
    l->holding = true;
    l->held = number;
    l->held_us = arrival_us;
    return LEDGER_HELD;
  }
  if (distance > 0) {
    advance(l, n, arrival_us);
    return LEDGER_NEW;
  }
  if (ahead(n, l->base) < 0) lower_base(l, n);
  struct ledger_slot *slot = slot_of(l, n);
  if (slot->received) {
    l->duplicates++;
    return LEDGER_DUPLICATE;
  }
  slot->received = true;
  slot->late = arrival_us - slot->overtaken_us >= LEDGER_WAIT_US;
  l->received++;
  if (slot->late) {
    l->late++;
    return LEDGER_LATE;
  }
  l->reordered++;
  if ((uint64_t)-distance > l->max_reorder) l->max_reorder = (uint64_t)-distance;
  return LEDGER_REORDERED;
}

static struct ledger_note *note_of(struct ledger *l, uint64_t n) {
  if (!l->open || ahead(n, l->next) < 0 || ahead(n, l->highest) > 0 || !slot_of(l, n)->received) return NULL;
  return &slot_of(l, n)->note;
}

struct ledger_note *ledger_note(struct ledger *l, uint64_t number) {
  return note_of(l, without_jumps(l, number));
}

struct ledger_note *ledger_note_back(struct ledger *l, uint64_t back) {
  return note_of(l, l->highest - back);
}

const struct ledger_note *ledger_neighbour(struct ledger *l, uint64_t number, int64_t *distance) {
  uint64_t n = without_jumps(l, number);
  if (!l->open) return NULL;
  /* Numbers far away begin the search at the near end of what waits. */
  uint64_t below = ahead(n, l->highest) > 0 ? l->highest : n - 1;
  for (uint64_t m = below; ahead(m, l->next) >= 0; m--) {
    if (!slot_of(l, m)->received) continue;
    *distance = ahead(n, m);
    return &slot_of(l, m)->note;
  }
  uint64_t above = ahead(n, l->next) < 0 ? l->next : n + 1;
  for (uint64_t m = above; ahead(m, l->highest) <= 0; m++) {
    if (!slot_of(l, m)->received) continue;
    *distance = ahead(n, m);
    return &slot_of(l, m)->note;
  }
  return NULL;
}

void ledger_open(struct ledger *l) {
  if (l->open) l->restarts++;
  l->open = false;
  l->holding = false;
  l->removed = l->removed_before = l->removed_at = 0;
}

enum ledger_verdict ledger_take(struct ledger *l, uint64_t number, int64_t arrival_us) {
  struct ledger_run run;
  if (ledger_settle(l, number, arrival_us) == HELD_RESTART) {
    while (ledger_pop(l, 0, true, &run)) continue;
    ledger_open(l);
    ledger_add(l, l->held, l->held_us);
  }
  while (ledger_pop(l, number, false, &run)) continue;
  return ledger_add(l, number, arrival_us);
}

uint64_t ledger_expected(const struct ledger *l) {
  return l->popped + (l->open ? l->highest + 1 - l->next : 0);
}
