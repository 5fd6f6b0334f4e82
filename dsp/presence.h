/* Is sound there at all: holes in a track's media, one-way audio, dead air (voice-quality.md 5.6). Reads
 * arrivals, the detector's decisions and levels of both tracks; knows nothing of frames or sound.
 *
 *   presence_frame(), presence_tick() ──────────> no media, at once
 *   presence_speech(), presence_level() ─10 ms slots of both tracks─> one-way, dead air, in time order
 *
 * - No media: a hole of over 2 s in the media of an expected track. It is told while it lasts, and taken
 *   back when the missing frames come after all (that was a stall). A jump in the media's own time is
 *   told 1 s later, when the ledger too would call the frames missing.
 * - One-way: a track whose frames arrive has been silent, in the detector's ears and below -60 dBov, for 10 s
 *   while the other spoke for 3 s of them. Over after 1 s of activity; from the first second that the
 *   track was ever active on, 30 s are asked for. Activity of 200 ms starts the silence anew (5.6 says no
 *   figure: an active level would not be "null or < -60 dBov" behind it). "Silent" needs a level: a track
 *   whose level nobody tells is never one-way, since a quiet detector also means a listener in a noisy
 *   room. The other's activity is the detector's alone: its line noise is nobody who waits for an answer.
 * - Dead air: both tracks expected, neither speaks, for 10 s.
 *
 * A track is expected from presence_expect() or its first frame on. On hold, and before the answer,
 * nothing counts: presence_hold().
 *
 * Decisions of a track may lag behind the other's; what is not known PRESENCE_LAG_MS behind the newest
 * is taken as silent. What is told does not depend on how the input is cut. Times are ms on the
 * part's clock. Constant memory, no heap, no clock; belongs to one thread. */
#ifndef DSP_PRESENCE_H
#define DSP_PRESENCE_H

#include <stdbool.h>
#include <stdint.h>

enum {
  PRESENCE_TRACKS = 2,
  PRESENCE_HOLE_MS = 2000,    /* no media beyond it */
  PRESENCE_CONFIRM_MS = 1000, /* until frames of a hole are missing and not late */
  PRESENCE_SILENT_MS = 10000, /* one-way, of a track never heard */
  PRESENCE_SILENT_AGAIN_MS = 30000,
  PRESENCE_OTHER_MS = 3000, /* of the other's speech meanwhile */
  PRESENCE_CLEAR_MS = 1000, /* of activity */
  PRESENCE_BREAK_MS = 200,
  PRESENCE_DEAD_AIR_MS = 10000,
  PRESENCE_LAG_MS = 15000,
  PRESENCE_SLOT_MS = 10,
  PRESENCE_SLOTS = 2048, /* LAG and the windows that levels are told for fit */
  PRESENCE_HOLDS = 8     /* changes of hold that may be ahead of the decisions */
};
#define PRESENCE_SILENT_DBOV (-60.0)

enum presence_kind { PRESENCE_NO_MEDIA, PRESENCE_ONE_WAY, PRESENCE_DEAD_AIR };
enum presence_change {
  PRESENCE_BEGAN,     /* is there, since start_ms; told again as it grows, and at the end of the part */
  PRESENCE_ENDED,     /* was there, [start_ms, end_ms) */
  PRESENCE_TAKEN_BACK /* was not there after all */
};

struct presence_note {
  enum presence_kind kind;
  enum presence_change change;
  int track;                /* -1: of the call (dead air) */
  int64_t start_ms, end_ms; /* end_ms: of PRESENCE_ENDED */
  int64_t length_ms;        /* one-way: of the silence, what the track said meanwhile left out */
};
/* As findings: BEGAN is findings_open(), ENDED that and findings_close(), TAKEN_BACK findings_retract(). */
typedef void (*presence_sink)(void *arg, const struct presence_note *note);

/* Public so that it can be embedded; the members are presence.c's own. */
struct presence_media {
  bool expected, told, pending;
  int64_t expected_ms;                /* since when */
  int64_t end_ms;                     /* of its newest place, or since when it is expected */
  int64_t arrival_ms;                 /* of its newest frame, likewise */
  int64_t from_ms, to_ms, pending_ms; /* the hole that waits for its frames, and since when */
};

struct presence_way {
  bool open;
  int64_t start_ms;                       /* of the silence; -1: not silent */
  int64_t silent_ms, other_ms, active_ms; /* in it */
  int64_t heard_ms;                       /* activity ever, up to PRESENCE_CLEAR_MS */
};

struct presence {
  presence_sink sink;
  void *arg;
  struct presence_media media[PRESENCE_TRACKS];
  struct presence_way way[PRESENCE_TRACKS];
  bool held;       /* as the media see it */
  bool slots_held; /* as the slots at `cursor` see it */
  bool air_open;
  int64_t air_ms;                                                    /* start of mutual silence, -1: none */
  int64_t cursor;                                                    /* slots before it are decided */
  int64_t speech_slot[PRESENCE_TRACKS], level_slot[PRESENCE_TRACKS]; /* told up to there */
  int64_t first_slot[PRESENCE_TRACKS];                               /* of the decisions told */
  int hold_count;
  struct {
    int64_t slot;
    bool on;
  } hold[PRESENCE_HOLDS];
  uint8_t slots[PRESENCE_SLOTS]; /* four marks a track, by slot modulo */
};

void presence_init(struct presence *p, presence_sink sink, void *arg);
void presence_expect(struct presence *p, int track, int64_t at_ms);
/* On hold, or not yet answered, from at_ms on; rising. What is open ends there. */
void presence_hold(struct presence *p, int64_t at_ms, bool on);
/* A frame that was used: its place, and when it came. */
void presence_frame(struct presence *p, int track, int64_t place_ms, int64_t duration_ms, int64_t arrival_ms);
/* [from_ms, to_ms) is speech or not, in rising time (hearing_sink). */
void presence_speech(struct presence *p, int track, int64_t from_ms, int64_t to_ms, bool speech);
/* Active level of [from_ms, to_ms), dBov; NaN: silence. At most 10 s, better 1 s: decisions wait for it. */
void presence_level(struct presence *p, int track, int64_t from_ms, int64_t to_ms, double level_dbov);
/* About once a second. */
void presence_tick(struct presence *p, int64_t now_ms);
/* The part ends: what is known is decided, what is open is told once more with its whole length. */
void presence_end(struct presence *p, int64_t end_ms);

#endif
