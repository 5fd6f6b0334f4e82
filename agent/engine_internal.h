/* The inside of the engine, shared by engine*.c only. */
#ifndef AGENT_ENGINE_INTERNAL_H
#define AGENT_ENGINE_INTERNAL_H

#include <stdlib.h>

#include "agent/memory.h"
#include <uthash.h>

#include "agent/alerts.h"
#include "agent/engine.h"
#include "agent/stream.h"

enum {
  PART_EVERY_US = 4000000,    /* facts of a live part go to the store: at most 5 s behind (8.4) */
  AFTER_HANGUP_US = 5000000,  /* what sockets still have then (contract 4) */
  LOST_AFTER_US = 120000000,  /* without a hang-up, from the close of the last socket */
  PROOF_WITHIN_US = 5000000,  /* for the `connected` frame, or the `start` of a derived key */
  COUNT_AFTER_US = 2000000,   /* a hang-up may overtake the answer: the status counts that it has then */
  FORGET_AFTER_US = 10000000, /* a complete call leaves memory */
  ASK_EVERY_US = 60000000,    /* a quiet leg, elsewhere (8.4) */
  ASK_AGAIN_US = 5000000,     /* when somebody says that it has ended */
  ASK_FIRST_US = 1000000,     /* of a stream whose webhooks went elsewhere; then at twice the time each */
  MISSING_AFTER_US = 5000000, /* a lost stream may come again by itself (telnyx-protocol.md 1.8) */
  SETTLE_EVERY_US = 200000,   /* of one leg, but for its end */
  EAGER_FACTS = 64,           /* a leg of more facts is settled once a second, not at each of them */
  LEG_PARTS_MAX = 512,        /* streams of one leg; one costs up to 250 KB and a share of every fold */
  LOOK_EVERY_US = 900000,     /* at the connection of a media socket: once a tick of a second */
  START_EVERY_US = 1000000,   /* of a socket that starts over and over, the part is stored so often */
};
#define UNHEARD_LOST_AFTER_US \
  (24LL * 3600 * 1000000) /* a leg that never had a socket, from its newest event */

struct socket;

struct call {
  UT_hash_handle hh; /* by facts->leg */
  struct facts *facts;
  struct fold_summary summary;
  struct socket *socket; /* the newest one of the leg, NULL: none open */
  bool dirty;            /* facts are newer than the settled document */
  bool ahead;            /* facts hold a part that the store has not: somebody looked */
  bool had_socket;
  bool finished_counted;
  int64_t ended_us;       /* monotonic; 0: it has not */
  struct time_base_said { /* what the log has of its tracks' time base */
    uint8_t chunk_scope, ts_unit;
    uint32_t ptime_us;
  } said[TRACK_COUNT];
  int64_t settled_us; /* monotonic, all of these */
  int64_t part_stored_us;
  int64_t part_delivered_us;                  /* 0: of this socket's part nothing was */
  int64_t quiet_since_us;                     /* the last socket closed, or the newest event came */
  int64_t hangup_us;                          /* 0: none seen */
  int64_t asked_us;                           /* elsewhere; 0: never */
  int64_t told_us;                            /* somebody said that it has ended; 0: nobody */
  char missing[sizeof((struct part *)0)->id]; /* why a stream is missed; "": none is, or it was told */
  int64_t missing_us;
  int64_t outage_us; /* since when the leg's stream is lost without `stop`; 0: it is not */
  struct alerts alerts;
  bool end_told;           /* that it has ended, to engine_effects.ended */
  int64_t live_due_us;     /* its next live row; 0: at once */
  int64_t live_stopped_ms; /* claim with which it is not to be published any more; 0: go on */
};

struct socket {
  UT_hash_handle hh; /* by id */
  conn_id id;
  enum socket_proof proof;
  char *key;      /* of PROOF_DERIVED */
  char *only_leg; /* whose derived key it showed; NULL: any leg may follow */
  struct moment opened;
  bool closing;  /* refused or replaced: what still comes is ignored */
  uint32_t said; /* kinds of fault that have had their log line, bit by kind */
  struct call *call;
  char name[sizeof((struct fold_summary *)0)->call_log_id]; /* of the call it had, for the log */
  struct stream *stream;
  bool streamed;          /* has had its first stream */
  bool on_hold;           /* as the stream was told */
  int64_t looked_us;      /* monotonic: its connection was looked at; 0: never */
  int64_t unpublished_us; /* arrival of the first frame since the last tick; 0: none */
};

struct engine {
  struct engine_options options;
  struct engine_effects effects;
  struct metrics *metrics;
  struct call *calls;
  struct socket *sockets;
  uint64_t next_part;
  uint64_t calls_ended;
  bool no_new; /* legs */
  uint8_t *scratch;
};

/* engine_call.c */
struct call *call_find(const struct engine *e, const char *leg);
/* Made when it is not there (`load`: ask the store for what it has). NULL: no memory. */
struct call *call_get(struct engine *e, const struct moment *at, const char *leg, bool load);
void call_free(struct engine *e, struct call *c);
/* Takes the newest part of the call's stream into the facts and gives it to the store. */
void call_store_part(struct engine *e, const struct moment *at, struct call *c);
/* Counts an ended call once, by its status. */
void call_count_finish(struct engine *e, struct call *c);
void call_settle(struct engine *e, const struct moment *at, struct call *c);
/* The same for facts that may come by the thousand: a leg with many, and one that was settled a moment ago, are left to
 * the next tick, since a fold goes over all facts and writes a whole CallLog. Not so a `turning_point`: a stream begins
 * or ends, the leg ends. */
void call_settle_soon(struct engine *e, const struct moment *at, struct call *c, bool turning_point);
/* Ends the stream of the call's socket; the socket itself is left. */
void call_end_stream(struct engine *e, const struct moment *at, struct call *c, enum part_state state);
json_t *call_document(struct engine *e, struct call *c);
/* What a live row shows of it, at a fraction of the cost. */
json_t *call_figures(struct engine *e, struct call *c);

/* engine_quiet.c: a leg without a socket here, and without an end. */
void call_miss_stream(struct call *c, const struct moment *at, const char *cause);
/* What was found at the start: does the leg miss a stream that it had, or was to get? `cut`: the part of ours that ended
 * with the last process, NULL: none. */
void call_miss_at_start(struct call *c, const struct moment *at, const char *cut);
void call_tick_quiet(struct engine *e, const struct moment *at, struct call *c);
/* A leg that has ended as somebody said: what the end was. */
void call_tick_told(struct engine *e, const struct moment *at, struct call *c);
/* A leg that streams here. */
void call_tick_unheard(struct engine *e, const struct moment *at, struct call *c);

/* engine_alerts.c: judges a live call, closes the alerts of one that has ended. */
void call_tick_alerts(struct engine *e, const struct moment *at, struct call *c);
void call_close_alerts(struct engine *e, const struct moment *at, struct call *c);

/* engine_socket.c */
void socket_free(struct engine *e, struct socket *s);
/* Asks the connection what it tells and gives it to the stream. */
void socket_look(struct engine *e, const struct moment *at, struct socket *s);
void socket_refuse(struct engine *e, struct socket *s, int code, const char *reason);

#endif
