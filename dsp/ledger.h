/* Books the numbers of a track's frames: what came, what is missing, twice, out of order, late, and
 * where the sender began anew (voice-quality.md 3.5).
 *
 * Use, for each frame: ledger_settle(), which says what became of a number that was set aside; then
 * ledger_pop() until it says no, which makes room and hands the numbers back in their order,
 * LEDGER_DEPTH behind the highest, each once, with the note its frame left; then ledger_add(). A restart
 * is: ledger_pop(all) until it says no, ledger_open(), then both frames as any other. ledger_take() is
 * all of that for one that needs only the counts. No heap, no clock (arrival times are given); belongs
 * to one thread. */
#ifndef DSP_LEDGER_H
#define DSP_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

enum {
  LEDGER_DEPTH = 50,         /* H: a number further behind the highest is missing */
  LEDGER_WAIT_US = 1000000,  /* so is one that has waited this long for its turn */
  LEDGER_LEAP_FRAMES = 3000, /* a longer step forward is not loss, but another numbering */
  LEDGER_SLOTS = 64,
  LEDGER_MEMORY = 8192 /* numbers behind the popped ones of which is known whether they were missing */
};

enum ledger_verdict {
  LEDGER_NEW, /* above all others of the segment */
  LEDGER_DUPLICATE,
  LEDGER_REORDERED, /* below the highest, not yet missing */
  LEDGER_LATE,      /* was missing, is no longer */
  LEDGER_HELD       /* far from the others: set aside until the next frame */
};

enum ledger_held {
  HELD_NONE,
  HELD_RESTART, /* the next number followed: call ledger_open(), then add both */
  HELD_LATE,
  HELD_DUPLICATE,
  HELD_OUTLIER
};

/* What the owner wants back when the number's turn comes. */
struct ledger_note {
  int64_t place_us;
  double jitter_ms;
  uint32_t playout_delay_us; /* P of emulator A after it */
  uint32_t duration_us;
  uint16_t concealed_frames;
  uint16_t payload_bytes; /* UINT16_MAX: or more */
  uint8_t flags, mode;
};

struct ledger_slot {
  bool received, late;
  int64_t overtaken_us; /* arrival of the first higher number */
  struct ledger_note note;
};

/* One received number (count 1) or a run of missing ones. */
struct ledger_run {
  bool missing, late;
  uint64_t count;
  struct ledger_note note; /* of a received one */
};

struct ledger {
  bool open;                    /* the segment has a frame */
  uint64_t base, highest, next; /* next: the first not yet popped */
  uint64_t removed, removed_at; /* numbering jumps taken out: of numbers from removed_at on, */
  uint64_t removed_before;      /* and of those before it */
  struct ledger_slot slot[LEDGER_SLOTS];
  uint64_t was_missing[LEDGER_MEMORY / 64];
  bool holding;
  uint64_t held;
  int64_t held_us;
  uint64_t popped; /* the part of expected that is popped; see ledger_expected() */
  uint64_t received, duplicates, reordered, max_reorder, late, restarts, outliers, numbering_jumps;
};

void ledger_init(struct ledger *l);
/* What the arrival of `number` makes of the one set aside; after this nothing is. */
enum ledger_held ledger_settle(struct ledger *l, uint64_t number, int64_t arrival_us);
/* The same without another frame, once LEDGER_WAIT_US have passed since it came or `end` is set. */
enum ledger_held ledger_give_up(struct ledger *l, int64_t now_us, bool end);
/* The number would be above all others of the segment, and not by a leap; false without an open one. */
bool ledger_is_next(const struct ledger *l, uint64_t number);
/* How many numbers lie between the highest and this one; 0 for the next, for a lower, or for a leap. */
uint64_t ledger_hole(const struct ledger *l, uint64_t number);
/* The numbers of ledger_hole() were never used: the numbering jumped. Call before ledger_pop(). */
void ledger_numbering_jump(struct ledger *l, uint64_t number);
/* Hands back the next number that cannot wait once `number` is added, or, with `all`, the next one. */
bool ledger_pop(struct ledger *l, uint64_t number, bool all, struct ledger_run *run);
enum ledger_verdict ledger_add(struct ledger *l, uint64_t number, int64_t arrival_us);
/* The note of a received number that is not popped yet, else NULL. */
struct ledger_note *ledger_note(struct ledger *l, uint64_t number);
/* The same of the number so far below the highest. */
struct ledger_note *ledger_note_back(struct ledger *l, uint64_t back);
/* The note of the received number nearest to `number` (below it rather than above) and the distance to
 * it, positive when it is below. NULL when all are popped. */
const struct ledger_note *ledger_neighbour(struct ledger *l, uint64_t number, int64_t *distance);
/* A restart: the next number added begins a segment. */
void ledger_open(struct ledger *l);

enum ledger_verdict ledger_take(struct ledger *l, uint64_t number, int64_t arrival_us);
uint64_t ledger_expected(const struct ledger *l); /* as if the track ended now */

#endif
