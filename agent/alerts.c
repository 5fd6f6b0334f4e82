#include "agent/alerts.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "agent/document.h"

const char *const alert_rule_names[ALERT_RULES] = {
    [ALERT_QUALITY] = "quality",
    [ALERT_STALL] = "stall",
    [ALERT_STREAM_OUTAGE] = "stream_outage",
};

enum { LEVELS_MAX = 2 };

/* sign 1: worse is more; -1: worse is less. Levels from mild to grave. */
static const struct rule {
  int sign;
  struct {
    double beyond;
    const char *severity;
  } level[LEVELS_MAX];
  double close_at; /* on the good side of this, or at it, it closes */
  int decimals;
} rules[ALERT_RULES] = {
    /* R below 70 warns, below 60 is bad (voice-quality.md 1.6, 8): a window's R jumps by some points of itself. */
    [ALERT_QUALITY] = {-1, {{70, "medium"}, {60, "high"}}, 75, DECIMALS_R},
    [ALERT_STALL] = {1, {{1000, "medium"}, {3000, "high"}}, 500, DECIMALS_MS},
    /* A hang-up may come a moment after the close of its socket. */
    [ALERT_STREAM_OUTAGE] = {1, {{2000, "critical"}, {0, NULL}}, 0, DECIMALS_MS},
};

/* The gravest level that the value is beyond, as in struct alert_state. */
static int level_of(const struct rule *r, double value) {
  int level = 0;
  for (int i = 0; i < LEVELS_MAX && r->level[i].severity != NULL; i++)
    if (r->sign * (value - r->level[i].beyond) > 0) level = i + 1;
  return level;
}

static void say(struct alerts *alerts, enum alert_rule rule, bool opened, int64_t now_ms,
                void (*change)(void *arg, const struct alert *alert), void *arg) {
  const struct alert_state *s = &alerts->state[rule];
  const struct alert alert = {.rule = rule,
                              .opened = opened,
                              .severity = rules[rule].level[s->level - 1].severity,
                              .value = document_round(s->value, rules[rule].decimals),
                              .at_ms = now_ms,
                              .opened_at_ms = s->opened_at_ms};
  change(arg, &alert);
}

void alerts_judge(struct alerts *alerts, const double values[ALERT_RULES], int64_t now_ms,
                  void (*change)(void *arg, const struct alert *alert), void *arg) {
  for (int i = 0; i < ALERT_RULES; i++) {
    const struct rule *r = &rules[i];
    struct alert_state *s = &alerts->state[i];
    if (isnan(values[i])) continue;
    s->value = values[i];
    int level = level_of(r, values[i]);
    if (level > s->level) {
      s->level = level;
      s->opened_at_ms = now_ms;
      say(alerts, (enum alert_rule)i, true, now_ms, change, arg);
    } else if (s->level > 0 && r->sign * (values[i] - r->close_at) <= 0) {
      say(alerts, (enum alert_rule)i, false, now_ms, change, arg);
      s->level = 0;
    }
  }
}

void alerts_close(struct alerts *alerts, int64_t now_ms, void (*change)(void *arg, const struct alert *alert),
                  void *arg) {
  for (int i = 0; i < ALERT_RULES; i++) {
    if (alerts->state[i].level == 0) continue;
    say(alerts, (enum alert_rule)i, false, now_ms, change, arg);
    alerts->state[i].level = 0;
  }
}

static const char *state_name(const struct alert *alert) {
  return alert->opened ? "opened" : "closed";
}

char *alert_key(const struct alert *alert, const char *call_log_id) {
  char *key;
  int length = asprintf(&key, "%s|%s|%" PRId64 "|%s", call_log_id, alert_rule_names[alert->rule],
                        alert->opened_at_ms, state_name(alert));
  return length >= 0 ? key : NULL;
}

json_t *alert_body(const struct alert *alert, const char *call_log_id) {
  json_t *body = json_object();
  document_put_text(body, "callLogId", call_log_id);
  document_put_text(body, "rule", alert_rule_names[alert->rule]);
  document_put_text(body, "state", state_name(alert));
  document_put_text(body, "severity", alert->severity);
  document_put_real(body, "value", alert->value, -1);
  document_put_int(body, "at", alert->at_ms);
  return body;
}
