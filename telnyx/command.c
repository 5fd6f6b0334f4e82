#include "telnyx/command.h"

#include <ctype.h>
#include <jansson.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "telnyx/json.h"
#include "telnyx/stream_key.h"

static const char *const names[] = {
    [COMMAND_ANSWER] = "answer",
    [COMMAND_HANGUP] = "hangup",
    [COMMAND_STREAMING_START] = "streaming_start",
    [COMMAND_STREAMING_STOP] = "streaming_stop",
    [COMMAND_RECORD_START] = "record_start",
    [COMMAND_RECORD_STOP] = "record_stop",
    [COMMAND_RECORD_PAUSE] = "record_pause",
    [COMMAND_RECORD_RESUME] = "record_resume",
};
_Static_assert(sizeof names / sizeof *names == COMMANDS, "a name for each command");

const char *command_name(enum command command) {
  return names[command];
}

bool command_find(const char *name, enum command *out) {
  for (int i = 0; i < COMMANDS; i++) {
    if (strcmp(names[i], name) != 0) continue;
    *out = (enum command)i;
    return true;
  }
  return false;
}

/* ---- ids ---- */

/* Our own, drawn once at random. It must never change: two versions of the agent may share a leg. */
static const unsigned char id_namespace[16] = {0x5c, 0x1d, 0x70, 0x4e, 0x8a, 0x33, 0x4f, 0x0b,
                                               0xb2, 0x6e, 0x91, 0xd4, 0x27, 0xe8, 0x0a, 0xc5};

void command_id(const char *leg, enum command command, const char *cause, char out[COMMAND_ID_BYTES]) {
  unsigned char b[SHA_DIGEST_LENGTH] = {0};
  size_t leg_bytes = strlen(leg) + 1, name_bytes = strlen(names[command]) + 1, cause_bytes = strlen(cause);
  unsigned char *text = malloc(sizeof id_namespace + leg_bytes + name_bytes + cause_bytes);
  if (text != NULL) { /* the parts end in NUL, so that none can run into the next */
    unsigned char *at = text;
    memcpy(at, id_namespace, sizeof id_namespace);
    at += sizeof id_namespace;
    memcpy(at, leg, leg_bytes);
    memcpy(at + leg_bytes, names[command], name_bytes);
    memcpy(at + leg_bytes + name_bytes, cause, cause_bytes);
    SHA1(text, sizeof id_namespace + leg_bytes + name_bytes + cause_bytes, b);
  }
  free(text);
  b[6] = (unsigned char)((b[6] & 0x0f) | 0x50);
  b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
  char *to = out;
  for (int i = 0; i < 16; i++) {
    if (i == 4 || i == 6 || i == 8 || i == 10) *to++ = '-';
    to += sprintf(to, "%02x", b[i]);
  }
}

/* ---- requests ---- */

/* NULL also for a leg that a path cannot name: servers and libcurl take . and .. for folders, however written. */
static char *call_url(const char *base, const char *leg, const char *tail) {
  if (strcmp(leg, ".") == 0 || strcmp(leg, "..") == 0) return NULL;
  size_t base_bytes = strlen(base);
  while (base_bytes > 0 && base[base_bytes - 1] == '/') base_bytes--;
  static const char calls[] = "/calls/";
  char *url = malloc(base_bytes + sizeof calls + 3 * strlen(leg) + strlen(tail) + 1);
  if (url == NULL) return NULL;
  char *to = url + sprintf(url, "%.*s%s", (int)base_bytes, base, calls);
  for (; *leg != '\0'; leg++) {
    unsigned char c = (unsigned char)*leg;
    bool unreserved = c < 128 && (isalnum(c) || strchr("-._~", c) != NULL);
    to += sprintf(to, unreserved ? "%c" : "%%%02X", c);
  }
  strcpy(to, tail);
  return url;
}

char *command_url(const char *base, const char *leg, enum command command) {
  char tail[64];
  snprintf(tail, sizeof tail, "/actions/%s", names[command]);
  return call_url(base, leg, tail);
}

char *command_call_url(const char *base, const char *leg) {
  return call_url(base, leg, "");
}

char *command_body(enum command command, const char *id, const char *stream_url) {
  json_t *body = json_pack("{s:s}", "command_id", id);
  if (command == COMMAND_STREAMING_START) {
    json_object_set_new(body, "stream_url", json_string(stream_url));
    json_object_set_new(body, "stream_track", json_string("both_tracks"));
    json_object_set_new(body, "stream_codec", json_string("PCMU"));
  }
  if (command == COMMAND_RECORD_START) { /* both are required; two channels keep the parties apart */
    json_object_set_new(body, "format", json_string("wav"));
    json_object_set_new(body, "channels", json_string("dual"));
  }
  char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
  json_decref(body);
  return text;
}

char *command_stream_url(const char *stream_url, const char *token, const char *leg, int64_t expiry_s) {
  char key[STREAM_KEY_BYTES_MAX], *url = NULL;
  if (token == NULL || *token == '\0') return strdup(stream_url);
  if (stream_key_make(token, leg, expiry_s, key, sizeof key) != 0) return NULL;
  size_t length = strlen(stream_url);
  bool slash = length > 0 && stream_url[length - 1] == '/';
  if (asprintf(&url, "%s%s%s", stream_url, slash ? "" : "/", key) < 0) return NULL;
  return url;
}

/* ---- answers ---- */

static const struct code_row {
  unsigned code;
  enum command_verdict verdict;
} codes[] = {
    {90018, COMMAND_ENDED},   /* the call has already ended */
    {90034, COMMAND_NOT_YET}, /* not answered yet */
    {90020, COMMAND_NOT_YET}, /* recording before there is sound */
    {90041, COMMAND_SLOWER},  {90042, COMMAND_SLOWER}, {90043, COMMAND_SLOWER}, /* channel limits */
    {90103, COMMAND_SLOWER},                                                    /* dials a second */
};

static enum command_verdict by_status(int status) {
  if (status >= 200 && status < 300) return COMMAND_TAKEN;
  if (status == 0 || status == 408 || status >= 500) return COMMAND_AGAIN;
  if (status == 429) return COMMAND_SLOWER;
  if (status == 401 || status == 403) return COMMAND_UNAUTHORIZED;
  return COMMAND_REFUSED;
}

/* A code decides only among refusals: 10011 is used for two things, and a proxy's body may say anything. */
enum command_verdict command_judge(int status, const char *body, size_t bytes, char *why, size_t why_bytes) {
  enum command_verdict verdict = by_status(status);
  if (why_bytes > 0) *why = '\0';
  if (verdict == COMMAND_TAKEN) return verdict;
  json_t *json = bytes > 0 ? json_read(body, bytes, NULL, 0) : NULL;
  const json_t *error = json_array_get(json_object_get(json, "errors"), 0);
  const char *title = json_text(error, "title"), *detail = json_text(error, "detail");
  uint64_t code = 0;
  json_unsigned(json_object_get(error, "code"), &code);
  for (size_t i = 0; status >= 400 && status < 500 && i < sizeof codes / sizeof *codes; i++)
    if (codes[i].code == code) verdict = codes[i].verdict;
  if (status == 0)
    snprintf(why, why_bytes, "no answer");
  else if (code != 0)
    snprintf(why, why_bytes, "HTTP %d, code %llu: %s", status, (unsigned long long)code,
             title != NULL    ? title
             : detail != NULL ? detail
                              : "no words");
  else
    snprintf(why, why_bytes, "HTTP %d", status);
  json_decref(json);
  return verdict;
}

bool command_is_done_by_end(enum command command) {
  return command == COMMAND_HANGUP || command == COMMAND_STREAMING_STOP || command == COMMAND_RECORD_STOP;
}

enum command_life command_life(int status, const char *body, size_t bytes) {
  if (status == 404) return LIFE_OVER;
  json_t *json = bytes > 0 ? json_read(body, bytes, NULL, 0) : NULL;
  enum command_life life = LIFE_UNKNOWN;
  if (status >= 200 && status < 300) {
    const json_t *alive = json_object_get(json_object_get(json, "data"), "is_alive");
    if (json_is_true(alive)) life = LIFE_ALIVE;
    if (json_is_false(alive)) life = LIFE_OVER;
  } else {
    const json_t *error = json_array_get(json_object_get(json, "errors"), 0);
    uint64_t code = 0;
    json_unsigned(json_object_get(error, "code"), &code);
    if (code == 90018 || code == 90015) life = LIFE_OVER; /* ended; or no longer known by that id */
  }
  json_decref(json);
  return life;
}
