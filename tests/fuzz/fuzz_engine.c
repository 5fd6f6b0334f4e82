/* A life of the engine: the bytes are read as orders (sockets, frames, webhooks, time, a restart). What it
 * gives to the store is read back as a store would, and must say the same. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/engine.h"
#include "telnyx/base64.h"
#include "telnyx/json.h"
#include "telnyx/timestamp.h"

enum { SOCKETS = 4, LEGS = 3, ORDERS_MAX = 120, BURST_MAX = 64, PAYLOAD_MAX = 700 };

static const char token[] = "a token";
static const char *const legs[LEGS] = {"v3:a", "v3:b\n\"\xc3\xa4", "v3:c"};
static const int64_t start_us = 1767225600000000; /* 2026-01-01 */

struct input {
  const uint8_t *at, *end;
};

struct world {
  struct engine *engine;
  struct metrics metrics;
  struct moment at;
  bool open[SOCKETS];
  json_t *events, *parts; /* the store: leg -> id -> element; leg -> id -> part */
  uint64_t first_part;
  bool with_token, keep_finished, plc;
};

static void must(bool fine) {
  if (!fine) abort();
}

static unsigned byte(struct input *in) {
  return in->at < in->end ? *in->at++ : 0;
}

static unsigned word(struct input *in) {
  unsigned high = byte(in);
  return high << 8 | byte(in);
}

/* Up to `most` bytes as they are. */
static size_t text(struct input *in, char *out, size_t most) {
  size_t bytes = word(in) % (most + 1);
  if (bytes > (size_t)(in->end - in->at)) bytes = (size_t)(in->end - in->at);
  if (bytes > 0) memcpy(out, in->at, bytes);
  in->at += bytes;
  return bytes;
}

/* ---- the store ---- */

static json_t *row_of(json_t *table, const char *leg) {
  json_t *rows = json_object_get(table, leg);
  if (rows == NULL) {
    rows = json_object();
    json_object_set_new(table, leg, rows);
  }
  return rows;
}

/* What is written reads back equal. New reference. */
static json_t *written(const json_t *value) {
  size_t bytes = 0;
  char *out = document_text(value, false, &bytes);
  must(out != NULL);
  json_t *back = json_read(out, bytes, NULL, 0);
  must(back != NULL && json_equal(back, value));
  free(out);
  return back;
}

static void put_event(void *arg, const char *leg, const char *id, int64_t at_ms, const json_t *element) {
  struct world *w = arg;
  must(at_ms == w->at.wall_us / 1000);
  json_object_set_new(row_of(w->events, leg), id, written(element));
}

static void check_delivery(const struct part *part) {
  for (int i = 0; i < TRACK_COUNT; i++) {
    const struct delivery_facts *d = part->track[i].delivery;
    if (d == NULL) continue;
    must(d->received_frames <= d->expected_frames);
    must(d->window_count <= DELIVERY_WINDOWS_MAX);
  }
}

static void put_part(void *arg, const char *leg, const struct part *part, bool deliver) {
  (void)deliver;
  struct world *w = arg;
  check_delivery(part);
  json_t *json = part_to_json(part);
  must(json != NULL);
  json_t *stored = written(json);
  struct part *back = part_from_json(stored);
  must(back != NULL);
  json_t *again = part_to_json(back);
  must(json_equal(again, json));
  json_object_set_new(row_of(w->parts, leg), part->id, stored);
  json_decref(json);
  json_decref(again);
  part_free(back);
}

static json_int_t number(const json_t *object, const char *key) {
  const json_t *value = json_object_get(object, key);
  must(json_is_integer(value));
  return json_integer_value(value);
}

/* talk of both - overlap + silence = T. */
static void check_speech(const json_t *document) {
  const json_t *speech =
      json_object_get(json_object_get(json_object_get(document, "metadata"), "sidetone"), "speech");
  const char *basis = json_string_value(json_object_get(speech, "basis"));
  if (basis == NULL || strcmp(basis, "two-track") != 0) return;
  must(number(json_object_get(speech, "agent"), "talk_ms") +
           number(json_object_get(speech, "lead"), "talk_ms") - number(speech, "overlap_ms") +
           number(speech, "silence_ms") ==
       number(speech, "duration_ms"));
}

static void check_document(const json_t *document) {
  must(document != NULL);
  json_decref(written(document));
  check_speech(document);
}

static void put_calllog(void *arg, const struct engine_calllog *calllog) {
  (void)arg;
  must(calllog->summary->call_log_id[0] != '\0' && calllog->summary->status[0] != '\0');
  check_document(calllog->document);
}

static void close_socket(void *arg, conn_id socket, int code, const char *reason) {
  const struct world *w = arg;
  must(socket < SOCKETS && w->open[socket] && code >= 1000 && reason != NULL);
}

/* ---- orders ---- */

static struct engine *make_engine(struct world *w) {
  const struct engine_options options = {.fold = {.agent_id = "a", .version = "0", .plc = w->plc},
                                         .agent_id = "a",
                                         .first_part = w->first_part,
                                         .stream_token = w->with_token ? token : "",
                                         .keep_finished = w->keep_finished};
  const struct engine_effects effects = {.put_event = put_event,
                                         .put_part = put_part,
                                         .put_calllog = put_calllog,
                                         .close_socket = close_socket,
                                         .arg = w};
  struct engine *e = engine_create(&options, &effects, &w->metrics);
  must(e != NULL);
  return e;
}

static void later(struct world *w, int64_t us) {
  w->at.mono_us += us;
  w->at.wall_us += us;
  w->at.read_ordinal++;
}

static void send_text(struct world *w, conn_id socket, const char *data, size_t bytes) {
  char *copy = malloc(bytes + 1); /* of exactly its size: a read behind its end is seen */
  must(copy != NULL);
  memcpy(copy, data, bytes);
  char *exact = realloc(copy, bytes > 0 ? bytes : 1);
  if (w->open[socket]) engine_socket_message(w->engine, socket, &w->at, true, true, exact, bytes);
  free(exact);
}

static void do_open(struct world *w, struct input *in) {
  conn_id socket = byte(in) % SOCKETS;
  unsigned proof = byte(in);
  if (w->open[socket]) return;
  w->open[socket] = true;
  bool owed = w->with_token && proof % 3 == 1, derived = w->with_token && proof % 3 == 2;
  engine_socket_opened(w->engine, socket, &w->at,
                       owed      ? PROOF_OWED
                       : derived ? PROOF_DERIVED
                                 : PROOF_DONE,
                       derived ? "MTIzLkFB" : NULL);
}

static void do_close(struct world *w, struct input *in) {
  conn_id socket = byte(in) % SOCKETS;
  if (!w->open[socket]) return;
  engine_socket_closed(w->engine, socket, &w->at, 1006);
  w->open[socket] = false;
}

static void do_start(struct world *w, struct input *in) {
  static const struct {
    const char *encoding;
    int rate_hz;
  } formats[] = {{"PCMU", 8000}, {"PCMA", 8000},  {"L16", 8000},     {"L16", 16000}, {"G722", 8000},
                 {"OPUS", 8000}, {"OPUS", 16000}, {"AMR-WB", 16000}, {"G729", 8000}, {"", 0}};
  conn_id socket = byte(in) % SOCKETS;
  const char *leg = legs[byte(in) % LEGS];
  size_t format = byte(in) % (sizeof formats / sizeof *formats);
  json_t *frame = json_pack("{s:s, s:i, s:s, s:{s:s, s:s, s:s, s:{s:s, s:i, s:i}}}", "event", "start",
                            "sequence_number", 1, "stream_id", "s", "start", "call_control_id", leg,
                            "call_session_id", "x", "from", "+15550100", "media_format", "encoding",
                            formats[format].encoding, "sample_rate", formats[format].rate_hz, "channels", 1);
  char *out = json_dumps(frame, JSON_COMPACT);
  send_text(w, socket, out, strlen(out));
  free(out);
  json_decref(frame);
}

/* Counters jump and arrivals vary, for a burst at a time. */
static void do_media(struct world *w, struct input *in) {
  conn_id socket = byte(in) % SOCKETS;
  unsigned track = byte(in) & 1, count = byte(in) % BURST_MAX, chunk_step = byte(in) % 4,
           time_step = word(in) % 1000, wait_ms = byte(in), payload = word(in) % PAYLOAD_MAX;
  uint64_t chunk = word(in), timestamp = (uint64_t)word(in) << (byte(in) % 33);
  uint8_t sound[PAYLOAD_MAX], seed = (uint8_t)byte(in);
  char coded[PAYLOAD_MAX * 2], frame[PAYLOAD_MAX * 2 + 256];
  for (unsigned i = 0; i < count; i++) {
    for (unsigned k = 0; k < payload; k++) sound[k] = seed < 128 ? 0xff : (uint8_t)(seed * (k + i * 7) >> 2);
    base64_encode(sound, payload, coded);
    int bytes = snprintf(
        frame, sizeof frame,
        "{\"event\":\"media\",\"sequence_number\":%llu,\"media\":{\"track\":\"%s\",\"chunk\":\"%llu\","
        "\"timestamp\":\"%llu\",\"payload\":\"%s\"}}",
        (unsigned long long)chunk, track ? "outbound" : "inbound", (unsigned long long)chunk,
        (unsigned long long)timestamp, coded);
    send_text(w, socket, frame, (size_t)bytes);
    chunk += chunk_step;
    timestamp += time_step;
    later(w, wait_ms * 1000);
  }
}

static void do_frame(struct world *w, struct input *in) {
  static const char *const frames[] = {
      "{\"event\":\"connected\",\"x-telnyx-streaming-auth-token\":\"a token\"}",
      "{\"event\":\"connected\",\"x-telnyx-streaming-auth-token\":\"wrong\"}",
      "{\"event\":\"stop\",\"stop\":{}}",
      "{\"event\":\"dtmf\",\"dtmf\":{\"digit\":\"7\"},\"occurred_at\":\"9999-12-31T23:59:60Z\"}",
      "{\"event\":\"error\",\"payload\":{\"code\":\"100003\",\"title\":\"t\",\"detail\":\"d\"}}",
      "{\"event\":\"mark\",\"mark\":{\"name\":\"m\"}}",
      "{\"event\":\"what\",\"sequence_number\":18446744073709551615}",
  };
  conn_id socket = byte(in) % SOCKETS;
  const char *frame = frames[byte(in) % (sizeof frames / sizeof *frames)];
  send_text(w, socket, frame, strlen(frame));
}

static void do_raw_frame(struct world *w, struct input *in) {
  char data[512];
  conn_id socket = byte(in) % SOCKETS;
  unsigned kind = byte(in);
  size_t bytes = text(in, data, sizeof data);
  if (w->open[socket] && kind % 8 == 7)
    engine_socket_message(w->engine, socket, &w->at, kind & 8, false, data, bytes);
  else
    send_text(w, socket, data, bytes);
}

/* What arrives here is on disk already. */
static void take_event(struct world *w, const char *body, size_t bytes) {
  struct event event;
  char why[200];
  if (event_parse(body, bytes, &event, why, sizeof why) != 0) return;
  if (event.call_control_id != NULL && event.kind != EVENT_SIDETONE_LEG_LOST) {
    json_t *element = facts_event_element(&event);
    must(element != NULL);
    json_object_set_new(row_of(w->events, event.call_control_id), event.id, written(element));
    json_decref(element);
    engine_event(w->engine, &w->at, &event);
  }
  event_release(&event);
}

static void do_webhook(struct world *w, struct input *in) {
  static const char *const times[] = {
      NULL,  "0000-01-01T00:00:00Z",  "9999-12-31T23:59:60-14:00", "1970-01-01T00:00:00Z", "not a time",
      "now", "2026-01-01T00:00:01.5Z"};
  static const char *const states[] = {NULL,
                                       "eyJjYWxsTG9nSWQiOiJ4IiwicGFydHkiOiJhZ2VudCIsImEuYiI6eyIkYyI6MX19",
                                       "eyJjYWxsTG9nSWQiOiJiYWQgaWQhIiwibGVhZElkIjoxfQ==", "%%%"};
  char now[TIMESTAMP_BYTES], id[32], extra[300];
  size_t count;
  const struct event_row *rows = event_rows(&count);
  const char *type = rows[byte(in) % count].type, *leg = legs[byte(in) % LEGS],
             *when = times[byte(in) % (sizeof times / sizeof *times)],
             *state = states[byte(in) % (sizeof states / sizeof *states)];
  snprintf(id, sizeof id, "%u", byte(in));
  timestamp_format_ms(w->at.wall_us / 1000, now);
  if (when != NULL && strcmp(when, "now") == 0) when = now;
  size_t bytes = text(in, extra, sizeof extra);
  json_t *payload = json_read(extra, bytes, NULL, 0);
  if (!json_is_object(payload)) {
    json_decref(payload);
    payload = json_object();
  }
  json_object_set_new(payload, "call_control_id", json_string(leg));
  if (state != NULL) json_object_set_new(payload, "client_state", json_string(state));
  json_t *data = json_pack("{s:s, s:s, s:o}", "event_type", type, "id", id, "payload", payload);
  if (when != NULL) json_object_set_new(data, "occurred_at", json_string(when));
  json_t *body = json_pack("{s:o}", "data", data);
  char *out = json_dumps(body, JSON_COMPACT);
  take_event(w, out, strlen(out));
  free(out);
  json_decref(body);
}

static void do_raw_webhook(struct world *w, struct input *in) {
  char data[700];
  size_t bytes = text(in, data, sizeof data);
  take_event(w, data, bytes);
}

static void do_time(struct world *w, struct input *in) {
  unsigned how = byte(in), much = word(in);
  switch (how % 4) {
    case 0:
      later(w, (int64_t)much * 1000);
      break;
    case 1: /* a minute at most, as time is given by the loop */
      for (unsigned i = 0; i < much % 60; i++) {
        later(w, 1000000);
        engine_tick(w->engine, &w->at);
      }
      break;
    case 2: /* a long pause: legs get lost */
      later(w, (int64_t)much * 10000000);
      engine_tick(w->engine, &w->at);
      break;
    default: /* a step of the wall clock */
      w->at.wall_us += ((int64_t)much - 32768) * 3600000000;
      if (w->at.wall_us < 0) w->at.wall_us = 0;
  }
}

static void count_call(void *arg, const char *leg, const json_t *document,
                       const struct fold_summary *summary) {
  (void)leg;
  (void)summary;
  check_document(document);
  (*(size_t *)arg)++;
}

static void do_look(struct world *w, struct input *in) {
  (void)in;
  size_t seen = 0;
  engine_each(w->engine, count_call, &seen);
  must(seen == engine_calls(w->engine)); /* every fold succeeds */
  json_t *live = engine_live(w->engine, &w->at);
  must(json_array_size(live) <= seen);
  json_decref(live);
}

static void give_back(struct world *w, const char *leg) {
  json_t *elements = json_object_get(w->events, leg), *parts = json_object_get(w->parts, leg), *value;
  size_t element_count = 0, part_count = 0;
  const char *id;
  json_t **element = calloc(json_object_size(elements) + 1, sizeof *element);
  struct part **part = calloc(json_object_size(parts) + 1, sizeof *part);
  json_object_foreach(elements, id, value) element[element_count++] = value;
  json_object_foreach(parts, id, value) part[part_count++] = part_from_json(value);
  engine_facts(w->engine, &w->at, leg, element, element_count, part, part_count, true);
  free(element);
  free(part);
}

/* A crash or an orderly end, then a start over the same store. */
static void do_restart(struct world *w, struct input *in) {
  if (byte(in) & 1) engine_shutdown(w->engine, &w->at);
  engine_free(w->engine);
  memset(w->open, 0, sizeof w->open);
  w->first_part += 1000;
  w->engine = make_engine(w);
  for (size_t i = 0; i < LEGS; i++) give_back(w, legs[i]);
}

typedef void order(struct world *w, struct input *in);

static void give_orders(struct world *w, struct input *in) {
  static order *const orders[] = {do_open,  do_close,     do_start,   do_media,       do_media,
                                  do_frame, do_raw_frame, do_webhook, do_raw_webhook, do_time,
                                  do_time,  do_look,      do_restart};
  for (int i = 0; i < ORDERS_MAX && in->at < in->end; i++) {
    orders[byte(in) % (sizeof orders / sizeof *orders)](w, in);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct input in = {.at = data, .end = data + size};
  unsigned options = byte(&in);
  struct world w = {.at = {.mono_us = 5000000000, .wall_us = start_us},
                    .events = json_object(),
                    .parts = json_object(),
                    .first_part = 1,
                    .with_token = options & 1,
                    .keep_finished = options & 2,
                    .plc = options & 4};
  w.engine = make_engine(&w);
  give_orders(&w, &in);
  do_look(&w, &in);
  engine_shutdown(w.engine, &w.at);
  do_look(&w, &in);
  engine_free(w.engine);
  json_decref(w.events);
  json_decref(w.parts);
  return 0;
}
