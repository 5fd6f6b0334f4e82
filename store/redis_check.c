/* sidetone check --connect: what is wrong between us and Redis, in words. Commands are tried inside MULTI and then
 * discarded: the server says for each whether it would take it, and does none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/redis_internal.h"
#include "store/redis_sinks.h"

void redis_info_field(const struct redis_reply *reply, const char *name, char *out, size_t out_bytes) {
  size_t length = strlen(name);
  out[0] = '\0';
  if (reply->kind != REDIS_TEXT) return;
  for (const char *line = reply->text; line != NULL; line = strchr(line, '\n')) {
    if (*line == '\n') line++;
    if (strncmp(line, name, length) != 0 || line[length] != ':') continue;
    snprintf(out, out_bytes, "%.*s", (int)strcspn(line + length + 1, "\r\n"), line + length + 1);
    return;
  }
}

bool redis_policy_loses(const char *policy) {
  return policy[0] != '\0' && strcmp(policy, "noeviction") != 0 && strncmp(policy, "volatile-", 9) != 0;
}

struct check {
  struct redis *redis;
  const char *prefix;
  void (*say)(void *arg, const char *line);
  void *arg;
  bool good;
};

static void fault(struct check *c, const char *what, const char *detail) {
  char line[700];
  snprintf(line, sizeof line, "redis: %s%s", what, detail);
  c->say(c->arg, line);
  c->good = false;
}

/* ---- the server ------------------------------------------------------------------------------ */

/* Cluster: the keys' shard is chosen by what stands between the first { and the next }, if anything does. */
static bool has_hash_tag(const char *prefix) {
  const char *open = strchr(prefix, '{'), *close = open != NULL ? strchr(open, '}') : NULL;
  return close != NULL && close > open + 1;
}

static void check_version(struct check *c, const struct redis_reply *info) {
  char version[32];
  int major = 0, minor = 0;
  redis_info_field(info, "redis_version", version, sizeof version);
  if (sscanf(version, "%d.%d", &major, &minor) == 2 && (major > 6 || (major == 6 && minor >= 2))) return;
  fault(c, "6.2 or later is needed (XTRIM MINID); this is ",
        version[0] != '\0' ? version : "an unknown version");
}

static void check_server(struct check *c) {
  static const char *const argv[] = {"INFO"};
  char field[64];
  const struct redis_reply *info = redis_ask(c->redis, 1, argv, NULL);
  if (info == NULL) {
    fault(c, "", redis_error(c->redis, NULL));
    return;
  }
  if (info->kind != REDIS_TEXT) {
    fault(c, "the user may not run INFO, so version and eviction policy stay unknown: ", info->text);
    return;
  }
  check_version(c, info);
  redis_info_field(info, "role", field, sizeof field);
  if (strcmp(field, "slave") == 0) fault(c, "this is a replica: it takes no writes", "");
  redis_info_field(info, "cluster_enabled", field, sizeof field);
  if (strcmp(field, "1") == 0 && !has_hash_tag(c->prefix))
    fault(c, "a cluster: redis.prefix needs a hash tag, such as {sidetone}:, not ", c->prefix);
  redis_info_field(info, "maxmemory_policy", field, sizeof field);
  if (redis_policy_loses(field))
    fault(c, "maxmemory-policy may drop the queue (noeviction or volatile-* keeps it); it is ", field);
}

/* ---- the commands ---------------------------------------------------------------------------- */

enum { WORDS_MAX = 8 };
/* Every command that the sinks send, with the keys that it is sent for: "%" stands for redis.prefix. */
static const char *const commands[][WORDS_MAX] = {
    {"EVAL", "return 1", "1", "%calls"},
    {"EVALSHA", "0000000000000000000000000000000000000000", "1", "%calls"},
    {"EXISTS", "%ended:check"},
    {"GET", "%owner:check"},
    {"SET", "%owner:check", "0", "PX", "1"},
    {"SET", "%ended:check", "0", "EX", "1"},
    {"DEL", "%call:check", "%owner:check"},
    {"HSET", "%call:check", "status", "check"},
    {"PEXPIRE", "%call:check", "1"},
    {"ZADD", "%calls", "0", "check"},
    {"ZREM", "%calls", "check"},
    {"ZRANGE", "%calls", "0", "0"},
    {"PUBLISH", "%live", "check"},
    {"XADD", "%alerts", "NOMKSTREAM", "*", "rule", "check"},
    {"XADD", "%calllogs", "NOMKSTREAM", "*", "callLogId", "check"},
    {"XLEN", "%calllogs"},
    {"XRANGE", "%calllogs", "-", "+", "COUNT", "1"},
    {"XTRIM", "%calllogs", "MINID", "=", "0-1"},
    {"XGROUP", "CREATE", "%calllogs", "loader", "0"},
    {"XINFO", "GROUPS", "%calllogs"},
    {"XINFO", "CONSUMERS", "%calllogs", "loader"},
    {"XPENDING", "%calllogs", "loader"},
    {"HGET", "%outbox", "check"},
    {"HMGET", "%outbox", "check"},
    {"HSET", "%outbox", "check", "0"},
    {"HINCRBY", "%outbox", "check", "0"},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

struct answers {
  struct check *check;
  size_t first;  /* index of the first of commands[] in the pipeline */
  char told[24]; /* the kind of a refusal that is not about one command */
};

/* "XADD sidetone:calllogs", as the line names it. */
static void name_command(const struct check *c, size_t i, char *out, size_t out_bytes) {
  bool two_words = strncmp(commands[i][0], "XGROUP", 6) == 0 || strcmp(commands[i][0], "XINFO") == 0;
  const char *key = "";
  for (size_t w = 1; w < WORDS_MAX && commands[i][w] != NULL; w++) {
    if (commands[i][w][0] != '%') continue;
    key = commands[i][w] + 1;
    break;
  }
  snprintf(out, out_bytes, "%s%s%s on %.200s%s", commands[i][0], two_words ? " " : "",
           two_words ? commands[i][1] : "", c->prefix, key);
}

static void on_answer(void *arg, size_t index, const struct redis_reply *reply) {
  struct answers *a = arg;
  struct sink_outcome outcome;
  char name[300], detail[600];
  if (reply->kind != REDIS_ERROR || index < a->first || index - a->first >= COMMANDS) return;
  redis_classify(reply, &outcome);
  bool of_command = strcmp(outcome.kind, "noperm") == 0 || strcmp(outcome.kind, "error") == 0;
  if (!of_command && strcmp(a->told, outcome.kind) == 0) return;
  if (!of_command) memcpy(a->told, outcome.kind, sizeof a->told);
  name_command(a->check, index - a->first, name, sizeof name);
  snprintf(detail, sizeof detail, "%s: %s", name, outcome.reason);
  fault(a->check, strcmp(outcome.kind, "noperm") == 0 ? "the user may not run " : "refuses ", detail);
}

static void add_command(const struct check *c, size_t i) {
  char words[WORDS_MAX][512];
  const char *argv[WORDS_MAX];
  int argc = 0;
  for (; argc < WORDS_MAX && commands[i][argc] != NULL; argc++) {
    bool key = commands[i][argc][0] == '%';
    snprintf(words[argc], sizeof words[argc], "%s%s", key ? c->prefix : "", commands[i][argc] + key);
    argv[argc] = words[argc];
  }
  redis_add(c->redis, argc, argv, NULL);
}

static void on_frame_answer(void *arg, size_t index, const struct redis_reply *reply) {
  static const char *const names[] = {"MULTI: ", "EXEC: ", "MULTI: ", "DISCARD: "};
  char what[64];
  struct check *c = arg;
  if (reply->kind != REDIS_ERROR) return;
  snprintf(what, sizeof what, "the user may not run %s", names[index]);
  fault(c, what, reply->text);
}

static void check_commands(struct check *c) {
  static const char *const multi[] = {"MULTI"}, *const exec[] = {"EXEC"}, *const discard[] = {"DISCARD"};
  bool before = c->good;
  c->good = true;
  redis_add(c->redis, 1, multi, NULL);
  redis_add(c->redis, 1, exec, NULL);
  redis_add(c->redis, 1, multi, NULL);
  redis_add(c->redis, 1, discard, NULL);
  bool there = redis_flush(c->redis, on_frame_answer, c);
  bool framed = there && c->good; /* else what follows would be done, not discarded */
  c->good = c->good && before;
  if (there && !framed) fault(c, "the other commands were not tried: that takes MULTI, EXEC and DISCARD", "");
  if (framed) {
    struct answers answers = {.check = c, .first = 1};
    redis_add(c->redis, 1, multi, NULL);
    for (size_t i = 0; i < COMMANDS; i++) add_command(c, i);
    redis_add(c->redis, 1, discard, NULL);
    there = redis_flush(c->redis, on_answer, &answers);
  }
  if (!there) fault(c, "", redis_error(c->redis, NULL));
}

bool redis_check(const struct redis_options *options, void (*say)(void *arg, const char *line), void *arg) {
  struct check c = {.prefix = options->prefix, .say = say, .arg = arg, .good = true};
  char why[300];
  if (redis_create(&c.redis, options, why, sizeof why) != 0) {
    fault(&c, "redis.url: ", why);
    return false;
  }
  if (!redis_ready(c.redis, NULL)) {
    fault(&c, "", redis_error(c.redis, NULL));
  } else {
    check_server(&c);
    check_commands(&c);
  }
  if (c.good) say(arg, "redis: fine");
  redis_free(c.redis);
  return c.good;
}
