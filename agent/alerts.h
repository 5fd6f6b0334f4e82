/* Alerts of a live call: one table of rules, each with levels at which it opens, a limit at which it closes
 * (hysteresis), and severities of data-model.md. Figures go in once a tick; what opens and closes comes out.
 *
 * Use: alerts_judge() at each tick of a live call, alerts_close() at its end. An alert that gets worse is opened again
 * with the higher severity; it never gets milder, it closes. Pure; belongs to one thread. */
#ifndef AGENT_ALERTS_H
#define AGENT_ALERTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum alert_rule {
  ALERT_QUALITY,       /* R of the newest full window of 10 s of the worse track (voice-quality.md 1.6) */
  ALERT_STALL,         /* ms without any frame on an open media socket */
  ALERT_STREAM_OUTAGE, /* ms since a media socket broke off without `stop` while the leg is up */
  ALERT_RULES
};
extern const char *const alert_rule_names[ALERT_RULES]; /* "quality", "stall", "stream_outage" */

struct alert {
  enum alert_rule rule;
  bool opened; /* else closed */
  const char *severity;
  double value;                /* the figure that opened or closed it */
  int64_t at_ms, opened_at_ms; /* epoch */
};

struct alerts { /* of one call; zeros: none is open */
  struct alert_state {
    int level;    /* 0: closed, else one above its index in the rule's levels */
    double value; /* the newest known */
    int64_t opened_at_ms;
  } state[ALERT_RULES];
};

/* A value of NaN is not known: what is open stays open. */
void alerts_judge(struct alerts *alerts, const double values[ALERT_RULES], int64_t now_ms,
                  void (*change)(void *arg, const struct alert *alert), void *arg);
/* The call has ended: all that is open closes, with its newest value. */
void alerts_close(struct alerts *alerts, int64_t now_ms, void (*change)(void *arg, const struct alert *alert),
                  void *arg);

/* The row's key, "<callLogId>|<rule>|<opened at ms>|<state>": the same alert has it for ever. malloc'ed or NULL. */
char *alert_key(const struct alert *alert, const char *call_log_id);
/* What the stream shows of it: callLogId, rule, state, severity, value, at (epoch ms). New reference. */
json_t *alert_body(const struct alert *alert, const char *call_log_id);

#endif
