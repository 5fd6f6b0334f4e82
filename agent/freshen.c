#include "agent/freshen.h"

#include <jansson.h>
#include <math.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/buffer.h"
#include "telnyx/base64.h"
#include "telnyx/client_state.h"
#include "telnyx/hex.h"
#include "telnyx/json.h"
#include "telnyx/timestamp.h"

enum { UUID_CHARS = 36, TIME_CHARS_MIN = 20, TIME_CHARS_MAX = 35 };
/* Beyond a week from the epoch a time is none of this session's: it moves along, unscaled. */
#define SESSION_US (7 * 86400 * 1000000LL)

struct slice {
  const char *data;
  size_t bytes;
};

struct freshen {
  struct freshen_rules rules;
  json_t *ids; /* old to new */
  struct buffer out;
};

struct freshen *freshen_create(const struct freshen_rules *rules) {
  struct freshen *f = calloc(1, sizeof *f);
  if (f == NULL) return NULL;
  f->rules = *rules;
  f->ids = json_object();
  if (f->ids != NULL) return f;
  free(f);
  return NULL;
}

void freshen_free(struct freshen *f) {
  if (f == NULL) return;
  json_decref(f->ids);
  free(f->out.data);
  free(f);
}

int64_t freshen_time_us(const struct freshen_rules *rules, int64_t us) {
  int64_t offset_us = us - rules->epoch_us;
  bool scaled = rules->speed > 0 && offset_us > -SESSION_US && offset_us < SESSION_US;
  return rules->start_us + (scaled ? llround((double)offset_us / rules->speed) : offset_us);
}

/* ---- ids ---- */

/* RFC 9562 5.4. */
static bool uuid4(char out[UUID_CHARS + 1]) {
  unsigned char b[16];
  if (RAND_bytes(b, sizeof b) != 1) return false;
  b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
  b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
  char hex[2 * sizeof b + 1];
  hex_encode(b, sizeof b, hex);
  snprintf(out, UUID_CHARS + 1, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
  return true;
}

static const char *new_id(struct freshen *f, struct slice old) {
  const char *known = json_string_value(json_object_getn(f->ids, old.data, old.bytes));
  if (known != NULL) return known;
  char uuid[UUID_CHARS + 1], id[UUID_CHARS + 4];
  if (!uuid4(uuid)) return NULL;
  bool versioned =
      old.bytes > 3 && old.data[0] == 'v' && old.data[1] >= '0' && old.data[1] <= '9' && old.data[2] == ':';
  int prefix = versioned ? 3 : 0;
  snprintf(id, sizeof id, "%.*s%s", prefix, old.data, uuid);
  if (json_object_setn_new_nocheck(f->ids, old.data, old.bytes, json_string(id)) != 0) return NULL;
  return json_string_value(json_object_getn(f->ids, old.data, old.bytes));
}

static bool ends_in(struct slice key, const char *end) {
  size_t bytes = strlen(end);
  return key.bytes >= bytes && memcmp(key.data + key.bytes - bytes, end, bytes) == 0;
}

static bool equals(struct slice key, const char *text) {
  return key.bytes == strlen(text) && ends_in(key, text);
}

/* Some events name a second leg or session: creator_call_session_id, supervise_call_control_id. */
static bool holds_id(struct slice key, bool in_data) {
  return ends_in(key, "call_control_id") || ends_in(key, "call_leg_id") || ends_in(key, "call_session_id") ||
         equals(key, "stream_id") || (in_data && equals(key, "id"));
}

/* ---- client_state ---- */

static json_t *object_of(const char *text, size_t bytes) {
  json_t *json = json_read(text, bytes, NULL, 0);
  if (json_is_object(json)) return json;
  json_decref(json);
  return NULL;
}

static json_t *read_state(const char *text, bool *coded) {
  size_t length = strlen(text);
  json_t *state = object_of(text, length);
  *coded = false;
  if (state != NULL) return state;
  uint8_t *plain = malloc(length + 1);
  ssize_t bytes = plain != NULL ? base64_decode(text, length, plain, length) : -1;
  *coded = true;
  if (bytes > 0) state = object_of((const char *)plain, (size_t)bytes);
  free(plain);
  return state;
}

static char *write_state(const json_t *state, bool coded) {
  char *text = json_dumps(state, JSON_COMPACT);
  if (text == NULL || !coded) return text;
  size_t bytes = strlen(text);
  char *out = malloc((bytes + 2) / 3 * 4 + 1);
  if (out != NULL) base64_encode((const uint8_t *)text, bytes, out);
  free(text);
  return out;
}

/* malloc'ed; NULL: there is nothing to take out. States inside one another as client_state.h reads them. */
static char *forget_call_log(const char *text) {
  json_t *state[CLIENT_STATE_LEVELS];
  bool coded[CLIENT_STATE_LEVELS], found = false;
  char *out = NULL;
  int levels = 0;
  for (; text != NULL && levels < CLIENT_STATE_LEVELS; levels++) {
    state[levels] = read_state(text, &coded[levels]);
    if (state[levels] == NULL) break;
    found = json_object_del(state[levels], "callLogId") == 0 || found;
    text = json_text(state[levels], "client_state");
  }
  while (levels-- > 0) {
    if (out != NULL) json_object_set_new(state[levels], "client_state", json_string(out));
    free(out);
    out = found ? write_state(state[levels], coded[levels]) : NULL;
    json_decref(state[levels]);
  }
  return out;
}

/* ---- one pass over a text ---- */

struct pass {
  const char *at, *end;
  const char *kept; /* up to here everything is in f->out, or nothing changed and nothing is */
  struct slice key; /* of the value that comes next */
  int depth;
  bool data_open; /* inside the object "data" of the outermost one */
};

/* What stands in place of a value. */
enum verdict { STAYS, CHANGES, FAILS };

static enum verdict new_state(struct slice token, char **with) {
  json_t *old = json_loadb(token.data, token.bytes, JSON_DECODE_ANY, NULL);
  char *text = json_is_string(old) ? forget_call_log(json_string_value(old)) : NULL;
  json_decref(old);
  if (text == NULL) return STAYS;
  json_t *json = json_string(text);
  *with = json_dumps(json, JSON_ENCODE_ANY);
  json_decref(json);
  free(text);
  return *with != NULL ? CHANGES : FAILS;
}

static enum verdict new_time(const struct freshen *f, struct slice value, char **with) {
  char text[TIME_CHARS_MAX + 1], moved[TIMESTAMP_BYTES];
  int64_t us;
  if (value.bytes < TIME_CHARS_MIN || value.bytes > TIME_CHARS_MAX || value.data[4] != '-') return STAYS;
  memcpy(text, value.data, value.bytes);
  text[value.bytes] = '\0';
  if (!timestamp_parse(text, &us)) return STAYS;
  timestamp_format_us(freshen_time_us(&f->rules, us), moved);
  return asprintf(with, "\"%s\"", moved) > 0 ? CHANGES : FAILS;
}

static enum verdict new_value(struct freshen *f, const struct pass *p, struct slice token, char **with) {
  struct slice value = {token.data + 1, token.bytes - 2};
  if (f->rules.fresh && value.bytes > 0 && holds_id(p->key, p->data_open && p->depth == 2)) {
    const char *id = new_id(f, value);
    return id != NULL && asprintf(with, "\"%s\"", id) > 0 ? CHANGES : FAILS;
  }
  if (f->rules.fresh && equals(p->key, "client_state")) return new_state(token, with);
  return new_time(f, value, with);
}

/* `token` is a string value with its quotes. */
static bool take_value(struct freshen *f, struct pass *p, struct slice token) {
  char *with = NULL;
  enum verdict verdict = new_value(f, p, token, &with);
  if (verdict != CHANGES) return verdict == STAYS;
  buffer_put(&f->out, p->kept, (size_t)(token.data - p->kept));
  buffer_put_text(&f->out, with);
  p->kept = token.data + token.bytes;
  free(with);
  return !f->out.failed;
}

/* The closing quote, or NULL. */
static const char *string_end(const char *from, const char *end) {
  for (const char *at = from; at < end; at++) {
    if (*at == '"') return at;
    if (*at == '\\') at++;
  }
  return NULL;
}

static bool take_string(struct freshen *f, struct pass *p) {
  const char *close = string_end(p->at + 1, p->end);
  if (close == NULL) {
    p->at = p->end;
    return true;
  }
  struct slice token = {p->at, (size_t)(close + 1 - p->at)};
  const char *next = p->at = close + 1;
  while (next < p->end && strchr(" \t\r\n", *next) != NULL && *next != '\0') next++;
  if (next < p->end && *next == ':') {
    p->key = (struct slice){token.data + 1, token.bytes - 2};
    p->at = next + 1;
    return true;
  }
  bool fine = take_value(f, p, token);
  p->key = (struct slice){"", 0};
  return fine;
}

static void take_structure(struct pass *p) {
  char c = *p->at++;
  if (c == '{' || c == '[') {
    p->depth++;
    if (p->depth == 2) p->data_open = c == '{' && equals(p->key, "data");
  } else if (c == '}' || c == ']') {
    p->depth--;
  } else if (c != ',') {
    return;
  }
  p->key = (struct slice){"", 0};
}

const char *freshen_text(struct freshen *f, const char *text, size_t bytes, size_t *out_bytes) {
  struct pass p = {.at = text, .end = text + bytes, .kept = text, .key = {"", 0}};
  f->out.bytes = 0;
  f->out.failed = false;
  while (p.at < p.end) {
    if (*p.at != '"') {
      take_structure(&p);
    } else if (!take_string(f, &p)) {
      return NULL;
    }
  }
  *out_bytes = bytes;
  if (p.kept == text) return text;
  buffer_put(&f->out, p.kept, (size_t)(p.end - p.kept));
  if (f->out.failed) return NULL;
  *out_bytes = f->out.bytes;
  return f->out.data;
}
