/* All calls of one loop, as a fold: webhooks, socket events and time go in with their moment; what the
 * world should do comes out as effects. The same code serves `serve`, `replay` and the tests, so it has
 * no socket, no file, no clock and no thread of its own.
 *
 * A call is one leg, named by its call_control_id. Its facts (webhooks and media parts) stay in memory
 * while it is up here; its CallLog is always the fold of them (agent/fold.h). */
#ifndef AGENT_ENGINE_H
#define AGENT_ENGINE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/alerts.h"
#include "agent/fold.h"
#include "agent/metrics.h"
#include "agent/server.h"
#include "telnyx/event.h"

struct engine;

struct engine_calllog { /* one settle */
  const char *leg;
  uint64_t revision;
  const struct fold_summary *summary;
  const json_t *document;
};

struct engine_effects {
  /* Facts and documents for the store. Every pointer is the engine's, for the call only. */
  void (*put_event)(void *arg, const char *leg, const char *id, int64_t at_ms, const json_t *element);
  /* `deliver`: other stores get it too (a part that is open only now and then: engine_options.interim_us). */
  void (*put_part)(void *arg, const char *leg, const struct part *part, bool deliver);
  void (*put_calllog)(void *arg, const struct engine_calllog *calllog);
  /* The engine has begun a call without knowing what is stored of it: answer with engine_facts(). */
  void (*load_leg)(void *arg, const char *leg);
  /* A leg is quiet here: does anybody know more of it, other agents or Telnyx? Answer with engine_facts() for what
   * others know, then engine_elsewhere(). `due`: it would be given up now. NULL: there is nobody to ask. */
  void (*ask_elsewhere)(void *arg, const char *leg, bool due);
  /* A leg that is up has no stream here for 5 s: its socket broke off without `stop`, or the last process ended while it
   * was up. `cause` names the part, or the answer (`_id` of its element), for ever the same. Once for each loss. */
  void (*stream_missing)(void *arg, const char *leg, const char *cause);
  /* An alert of a call has opened or closed. NULL: nobody judges. */
  void (*put_alert)(void *arg, const char *leg, const char *call_log_id, const struct alert *alert);
  /* The call's document says that it has ended, for the first time here, or again after it had come back to life. */
  void (*ended)(void *arg, const char *leg, const char *call_log_id);
  void (*close_socket)(void *arg, conn_id socket, int code, const char *reason);
  /* What the socket's connection tells; false: nothing. NULL: there is no connection (replay). */
  bool (*look_at_socket)(void *arg, conn_id socket, struct socket_evidence *out);
  void *arg;
};

struct engine_options {
  struct fold_options fold;
  const char *agent_id;     /* names our parts */
  uint64_t first_part;      /* k of our first part: never used before by this agent.id */
  const char *stream_token; /* "" when none */
  int64_t interim_us;       /* between deliveries of an open part; 0: each one */
  bool asks_for_streams;    /* telnyx.auto_stream: streams are ours, of both tracks */
  bool published;           /* figures count as made when they are published: engine_live_slice() */
  bool keep_finished;       /* replay: calls stay in memory after their end */
  bool verbose;             /* log lines (serve); replay says only what goes wrong */
};

/* NULL when there is no memory. Options are copied, `metrics` and texts must outlive the engine. */
struct engine *engine_create(const struct engine_options *options, const struct engine_effects *effects,
                             struct metrics *metrics);
void engine_free(struct engine *e);

/* A verified webhook that is on disk already (or needs no disk). False: the event was known. */
bool engine_event(struct engine *e, const struct moment *at, const struct event *event);
bool engine_knows(const struct engine *e, const char *leg);
/* Is there room for a payload of so many bytes among those of the leg (FACTS_PAYLOADS_MAX_BYTES)? */
bool engine_has_room(const struct engine *e, const char *leg, size_t payload_bytes);
/* Up, as far as is known here, and without a socket here. */
bool engine_lacks_stream(const struct engine *e, const char *leg);
/* The leg of a call in memory, by callLogId; NULL: none. Until the next call. */
const char *engine_leg_of(struct engine *e, const char *call_log_id);
/* What the log calls a leg: its callLogId, or `leg` when it is not in memory. Until the next call. */
const char *engine_call_name(const struct engine *e, const char *leg);
/* Facts from the store: elements of telnyx.webhookEvents and parts. `restart`: found at our own start,
 * so parts of ours that are open there were cut by a crash. Takes the parts over. */
void engine_facts(struct engine *e, const struct moment *at, const char *leg, json_t **elements,
                  size_t element_count, struct part **parts, size_t part_count, bool restart);

/* What somebody else says of a leg that is quiet here. */
enum elsewhere {
  ELSEWHERE_UNKNOWN, /* nobody could be asked: once more, later */
  ELSEWHERE_UP,      /* the same: another agent's stream grows, or Telnyx says that it is alive */
  ELSEWHERE_GONE     /* nobody has it: given up, when that is due */
};
void engine_elsewhere(struct engine *e, const struct moment *at, const char *leg, enum elsewhere answer);
/* Somebody says that the call has ended: asks elsewhere soon. By callLogId. */
void engine_ask(struct engine *e, const struct moment *at, const char *call_log_id);

/* How a socket proved who it is when it was opened. */
enum socket_proof {
  PROOF_DONE,    /* token in header or path, or none needed */
  PROOF_DERIVED, /* the form of a derived key: within 5 s a `start` must match it */
  PROOF_OWED     /* nothing yet: the `connected` frame has 5 s to bring the token */
};
/* A token other than the option: of sockets that come, or have not proved themselves yet. Borrowed. */
void engine_stream_token(struct engine *e, const char *token);
void engine_socket_opened(struct engine *e, conn_id socket, const struct moment *at, enum socket_proof proof,
                          const char *key);
void engine_socket_message(struct engine *e, conn_id socket, const struct moment *at, bool text, bool utf8,
                           const char *data, size_t bytes);
/* The server fails the connection with that close code (RFC 6455 7.1.7); engine_socket_closed() follows. */
void engine_socket_failed(struct engine *e, conn_id socket, int code);
void engine_socket_closed(struct engine *e, conn_id socket, const struct moment *at, int code);

/* At least once a second. */
void engine_tick(struct engine *e, const struct moment *at);
/* From now on a stream of a leg that is not known is closed 1001; what is known goes on. */
void engine_take_no_new(struct engine *e);
/* Whether `key`, of the derived form, was made for a leg that is known. */
bool engine_knows_key(const struct engine *e, const char *key, int64_t now_s);
/* Everything still open is stored as it stands (SIGTERM): sockets cut, calls partial. How many calls were cut:
 * not ended, or with a socket open. */
size_t engine_shutdown(struct engine *e, const struct moment *at);

size_t engine_calls(const struct engine *e);
size_t engine_calls_live(const struct engine *e); /* not ended */
uint64_t engine_calls_ended(
    const struct engine *e); /* since the start; a lost leg that lives again is taken off */
bool engine_all_ended(const struct engine *e);
/* The CallLog so far, new reference, NULL when not in memory. By callLogId. */
json_t *engine_document(struct engine *e, const char *call_log_id);
/* Every call in memory, in no order. */
void engine_each(struct engine *e,
                 void (*call)(void *arg, const char *leg, const json_t *document,
                              const struct fold_summary *summary),
                 void *arg);
/* A live call as Redis gets it. Every pointer is the engine's, for the call only. */
struct engine_live_row {
  const char *leg, *call_log_id;
  int64_t start_ms; /* epoch */
  bool
      has_socket; /* its newest socket is here, opened at claim_ms; else claim_ms is when its newest event occurred */
  int64_t claim_ms;      /* epoch */
  int64_t frame_us;      /* monotonic: arrival of the first frame since the last row; 0: none */
  const json_t *figures; /* object with the names of contract 5 and callLogId */
};
/* Rows of the calls that are due: each call once an interval, at most `most` of them now; to be called several times an
 * interval, so that no turn of the loop has to make all of them. Returns how many were made. */
size_t engine_live_slice(struct engine *e, const struct moment *at, int64_t interval_us, size_t most,
                         void (*row)(void *arg, const struct engine_live_row *row), void *arg);
/* Somebody says that the call has ended: no rows any more, until a newer socket or event makes a newer claim. */
void engine_live_stop(struct engine *e, const char *call_log_id);
/* The live calls as /api/v1/calls shows them (contract 5's names). New reference. */
json_t *engine_live(struct engine *e, const struct moment *at);

#endif
