/* Inside of the fold: what its steps hand to one another. Each step reads the context and adds its
 * members to the document, in the order of data-model.md 1.2; fold.c calls them. */
#ifndef AGENT_FOLD_CONTEXT_H
#define AGENT_FOLD_CONTEXT_H

#include "agent/fold.h"
#include "dsp/codec.h"

/* An element of telnyx.webhookEvents, read. Everything is borrowed from the facts. */
struct fold_event {
  enum event_kind kind;
  const struct event_row *row; /* NULL: not in the table */
  const char *type;
  bool has_at;
  int64_t at_ms;         /* occurred_at */
  const json_t *payload; /* NULL when it was not stored */
};

/* A leg's state: its times, and how far it got. A time of 0 is unknown. */
struct fold_state {
  bool answered; /* said by a webhook or implied by a later state or by media */
  bool media_ran;
  bool media_only; /* no webhook of Telnyx at all */
  bool hung_up, lost, ended;
  bool any_open, any_cut, all_closed; /* media parts */
  const struct fold_event *hangup, *lost_event;
  int64_t initiated_ms, answered_ms, bridged_ms, ended_ms;
  const char *status, *answer_state, *cause, *cause_word, *source;
};

struct fold_context {
  const struct facts *facts;
  const struct fold_options *options;
  struct fold_event *events; /* by (timestamp, _id), without repeats */
  size_t event_count;
  const struct part **parts; /* in time order: start, else opening, then id */
  size_t part_count;
  struct fold_state state;
  /* From fold_identity(). */
  bool inbound_is_agent;
  bool has_lead, has_direction;
  json_t *client_state_other; /* owned; NULL: nothing */
  struct fold_summary *summary;
};

static inline int64_t floor_ms(int64_t us) {
  return us / 1000 - (us % 1000 < 0);
}

/* Whole seconds from a to b, rounded down, never below 0 (8.2). */
static inline int64_t whole_seconds(int64_t a_ms, int64_t b_ms) {
  return b_ms > a_ms ? (b_ms - a_ms) / 1000 : 0;
}

/* "agent" or "lead": who speaks on a track. */
const char *fold_party(const struct fold_context *c, int track);
/* The first or last event of a kind; NULL: none. Of several equal events the last counts, of hang-ups
 * the first (8.2). */
const struct fold_event *fold_first(const struct fold_context *c, enum event_kind kind);
const struct fold_event *fold_last(const struct fold_context *c, enum event_kind kind);
/* A time of the payload; false when absent or not a time. */
bool fold_time(const struct fold_event *event, const char *key, int64_t *epoch_ms);

/* A copy whose keys MongoDB takes at every depth: '.' and a leading '$' in their full-width forms. New
 * reference. */
json_t *fold_escaped(const json_t *value);

/* The steps. fold_state() comes first and adds nothing; the others add members of their subject. */
void fold_state(struct fold_context *c);
void fold_identity(struct fold_context *c, json_t *document);      /* callLogId … to */
void fold_status(struct fold_context *c, json_t *document);        /* status … duration, with hold */
json_t *fold_holds(const struct fold_context *c, int64_t *hold_s); /* < 0: nothing known */
json_t *fold_recording(const struct fold_context *c);
json_t *fold_transcription(const struct fold_context *c);
json_t *fold_events(const struct fold_context *c);
json_t *fold_dtmf(const struct fold_context *c);
json_t *fold_billing(const struct fold_context *c);
json_t *fold_errors(const struct fold_context *c);
json_t *fold_outcome(const struct fold_context *c);
/* A row of quality.issues[]. Everything is borrowed; what it is not of stays NULL. */
struct fold_issue {
  const char *part, *track; /* NULL: of the leg as a whole, of both tracks */
  const char *finding, *type, *severity;
  const char *description;       /* begins with the finding */
  int64_t start_ms, resolved_ms; /* epoch; resolved 0: it lasted to the end */
};
void fold_add_issue(const struct fold_context *c, const struct fold_issue *issue, json_t *issues);
/* All findings of the leg added to `issues`, which it takes over: in order of time. New reference. */
json_t *fold_findings(const struct fold_context *c, json_t *issues);
/* Those that are open, as rows; NULL without any. New reference. */
json_t *fold_open_findings(const struct fold_context *c);
/* overallRating, ratedBy and ratedAt into `quality`, which has its mos. */
void fold_put_rating(const struct fold_context *c, json_t *quality, const json_t *issues);

/* What the carrier's numbers are held against. */
struct fold_inbound {
  const struct figure *r_lq;
  enum mos_scale scale; /* of the content */
  uint64_t received_frames;
};
/* metadata.sidetone.quality.carrier and .disputed into `measured`, and an issue when the two disagree. `our` NULL: nothing
 * was measured. */
void fold_carrier(const struct fold_context *c, const struct fold_inbound *our, json_t *measured,
                  json_t *issues);
/* The headline `quality`, and metadata.sidetone.quality into `sidetone`. */
json_t *fold_quality(struct fold_context *c, json_t *sidetone);
/* aiAnalysis.speech, and metadata.sidetone.speech into `sidetone`. */
json_t *fold_speech(struct fold_context *c, json_t *sidetone);

#endif
