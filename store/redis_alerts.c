/* Alerts: rows of the outbox to a capped stream (contract.md 5). At least once: the entry's fields tell a repeat. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/redis_sinks.h"

enum { BATCH_MAX = 256, VALUE_BYTES = 64 };
static const char kept_entries[] = "10000";

struct redis_alerts {
  struct redis *redis;
  char *stream;
};

int redis_alerts_create(struct redis_alerts **out, const struct redis_options *options, char *why,
                        size_t why_bytes) {
  struct redis_alerts *a = calloc(1, sizeof *a);
  *out = NULL;
  snprintf(why, why_bytes, "no memory");
  if (a != NULL && asprintf(&a->stream, "%salerts", options->prefix) < 0) a->stream = NULL;
  if (a == NULL || a->stream == NULL || redis_create(&a->redis, options, why, why_bytes) != 0) {
    redis_alerts_free(a);
    return -1;
  }
  *out = a;
  return 0;
}

void redis_alerts_free(struct redis_alerts *a) {
  if (a == NULL) return;
  redis_free(a->redis);
  free(a->stream);
  free(a);
}

/* A member as the stream has it: text as it is, a number in its shortest form. */
static const char *text_of(const json_t *value, char *room, size_t room_bytes) {
  if (json_is_string(value)) return json_string_value(value);
  if (json_is_integer(value)) {
    snprintf(room, room_bytes, "%lld", (long long)json_integer_value(value));
  } else if (json_is_real(value)) {
    snprintf(room, room_bytes, "%.15g", json_real_value(value));
  } else {
    return NULL;
  }
  return room;
}

/* Every member of the alert is a field, in the body's order. */
static bool add_alert(struct redis_alerts *a, const struct sink_row *row, struct sink_outcome *out) {
  enum { FIELDS_MAX = 16 };
  const char *argv[6 + 2 * FIELDS_MAX] = {"XADD", a->stream, "MAXLEN", "~", kept_entries, "*"};
  char room[FIELDS_MAX][VALUE_BYTES];
  int argc = 6, fields = 0;
  json_t *alert = json_loadb(row->body, row->body_bytes, 0, NULL);
  for (void *i = json_object_iter(alert); i != NULL && fields < FIELDS_MAX;
       i = json_object_iter_next(alert, i)) {
    const char *text = text_of(json_object_iter_value(i), room[fields], VALUE_BYTES);
    if (text == NULL) continue;
    argv[argc++] = json_object_iter_key(i);
    argv[argc++] = text;
    fields++;
  }
  if (fields > 0) {
    redis_add(a->redis, argc, argv, NULL);
  } else {
    *out = (struct sink_outcome){.result = SINK_DEAD, .kind = "malformed", .reason = "the row is no alert"};
  }
  json_decref(alert);
  return fields > 0;
}

struct delivery {
  struct sink_outcome *outcomes;
  size_t row_of[BATCH_MAX]; /* of each command */
};

static void on_answer(void *arg, size_t index, const struct redis_reply *reply) {
  struct delivery *d = arg;
  redis_classify(reply, &d->outcomes[d->row_of[index]]);
}

static void deliver(void *self, const struct sink_row *rows, size_t count, int64_t low_water,
                    struct sink_outcome *outcomes) {
  (void)low_water;
  struct redis_alerts *a = self;
  struct delivery d = {.outcomes = outcomes};
  size_t sent = 0;
  bool there = redis_ready(a->redis, NULL);
  for (size_t i = 0; i < count; i++) {
    outcomes[i] = (struct sink_outcome){.result = SINK_DONE};
    if (there && i < BATCH_MAX && add_alert(a, &rows[i], &outcomes[i])) d.row_of[sent++] = i;
  }
  if (there && (sent == 0 || redis_flush(a->redis, on_answer, &d))) return;
  const char *kind, *text = redis_error(a->redis, &kind);
  for (size_t i = 0; i < count; i++) {
    if (outcomes[i].result != SINK_DONE) continue;
    outcomes[i].result = SINK_AWAY;
    snprintf(outcomes[i].kind, sizeof outcomes[i].kind, "%s", kind);
    snprintf(outcomes[i].reason, sizeof outcomes[i].reason, "%s", text);
  }
}

static void interrupt(void *self) {
  struct redis_alerts *a = self;
  redis_interrupt(a->redis);
}

struct sink_driver redis_alerts_driver(struct redis_alerts *a) {
  return (struct sink_driver){
      .id = SINK_REDIS_ALERTS, .batch_max = BATCH_MAX, .deliver = deliver, .interrupt = interrupt, .self = a};
}
