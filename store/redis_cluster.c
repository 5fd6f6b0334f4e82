/* A pipeline and its answers; MOVED, ASK, TRYAGAIN and CLUSTERDOWN. All our keys lie on one shard (contract.md 5),
 * so one link at a time is enough: MOVED changes it, ASK takes a second one for as long as the slot moves. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "store/clock.h"

#include "store/redis_internal.h"

enum { ROUNDS_MAX = 16, LATER_MS = 100 };

/* ---- what a reply says ----------------------------------------------------------------------- */

static bool begins(const char *text, const char *word) {
  return strncmp(text, word, strlen(word)) == 0;
}

enum redirect redirect_of(const struct redis_reply *reply, char *host, size_t host_bytes, int *port) {
  if (reply->kind != REDIS_ERROR) return REDIRECT_NONE;
  if (begins(reply->text, "TRYAGAIN") || begins(reply->text, "CLUSTERDOWN")) return REDIRECT_LATER;
  bool moved = begins(reply->text, "MOVED "), ask = begins(reply->text, "ASK ");
  if (!moved && !ask) return REDIRECT_NONE;
  /* MOVED 3999 127.0.0.1:6381; an IPv6 address has colons of its own. */
  const char *blank = strrchr(reply->text, ' '), *colon = strrchr(reply->text, ':');
  if (colon == NULL || colon < blank || (size_t)(colon - blank - 1) >= host_bytes) return REDIRECT_NONE;
  memcpy(host, blank + 1, (size_t)(colon - blank - 1));
  host[colon - blank - 1] = '\0';
  *port = atoi(colon + 1);
  return moved ? REDIRECT_MOVED : REDIRECT_ASK;
}

void redis_classify(const struct redis_reply *reply, struct sink_outcome *out) {
  static const struct {
    const char *begin, *kind;
    enum sink_result result;
  } known[] = {
      {"NOAUTH", "auth", SINK_AWAY},
      {"WRONGPASS", "auth", SINK_AWAY},
      {"ERR AUTH", "auth", SINK_AWAY},
      {"ERR invalid password", "auth", SINK_AWAY},
      {"NOPERM", "noperm", SINK_AWAY},
      {"READONLY", "readonly", SINK_AWAY},
      {"LOADING", "loading", SINK_AWAY},
      {"OOM", "oom", SINK_AWAY},
      {"MISCONF", "misconf", SINK_AWAY},
      {"MASTERDOWN", "masterdown", SINK_AWAY},
      {"NOREPLICAS", "noreplicas", SINK_AWAY},
      {"BUSY ", "busy", SINK_AWAY},
      {"CLUSTERDOWN", "clusterdown", SINK_AWAY},
      {"TRYAGAIN", "tryagain", SINK_AWAY},
      {"MOVED", "crossslot", SINK_AWAY},
      {"ASK", "tryagain", SINK_AWAY},
      {"CROSSSLOT", "crossslot", SINK_AWAY},
      {"ERR max number of clients", "clients", SINK_AWAY},
      {"NOGROUP", "nogroup", SINK_AWAY},
      {"EXECABORT", "execabort", SINK_AWAY},
      {"ERR string exceeds", "too_large", SINK_DEAD},
  };
  *out = (struct sink_outcome){.result = SINK_DONE};
  if (reply->kind != REDIS_ERROR) return;
  out->result = SINK_RETRY;
  snprintf(out->kind, sizeof out->kind, "error");
  snprintf(out->reason, sizeof out->reason, "%s", reply->text);
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    if (!begins(reply->text, known[i].begin)) continue;
    out->result = known[i].result;
    snprintf(out->kind, sizeof out->kind, "%s", known[i].kind);
    if (strcmp(out->kind, "crossslot") == 0) {
      snprintf(
          out->reason, sizeof out->reason,
          "a cluster wants all keys on one shard: redis.prefix needs a hash tag, such as {sidetone}: (%.60s)",
          reply->text);
    }
    return;
  }
}

/* ---- the pipeline ---------------------------------------------------------------------------- */

void redis_add(struct redis *r, int argc, const char *const *argv, const size_t *bytes) {
  if (r->count == r->size) {
    size_t size = r->size * 2 + 64;
    struct redis_command *grown = realloc(r->commands, size * sizeof *grown);
    if (grown == NULL) {
      r->no_memory = true;
      return;
    }
    r->commands = grown;
    r->size = size;
  }
  struct redis_command *c = &r->commands[r->count];
  *c = (struct redis_command){.opens = strcmp(argv[0], "MULTI") == 0,
                              .closes = strcmp(argv[0], "EXEC") == 0 || strcmp(argv[0], "DISCARD") == 0};
  c->text = link_format(argc, argv, bytes, &c->bytes);
  if (c->text == NULL) {
    r->no_memory = true;
  } else {
    r->count++;
  }
}

void redis_forget_commands(struct redis *r) {
  for (size_t i = 0; i < r->count; i++) free(r->commands[i].text);
  r->count = 0;
  r->no_memory = false;
}

/* One past the last command of the unit that begins at `i`: a lone command, or MULTI to EXEC. */
static size_t unit_end(const struct redis *r, size_t i) {
  if (!r->commands[i].opens) return i + 1;
  while (i < r->count && !r->commands[i].closes) i++;
  return i < r->count ? i + 1 : r->count;
}

struct round {
  struct link_reply *replies; /* of every command; those of units that are to be sent again are free */
  bool *done;
  enum redirect redirect; /* the first of the round */
  char host[256];
  int port;
};

/* Sends the unit's commands, or reads their answers. */
static bool send_unit(struct redis *r, struct link *l, size_t from, size_t to) {
  for (size_t i = from; i < to; i++) {
    if (!link_queue(l, r->commands[i].text, r->commands[i].bytes)) {
      r->fault = (struct redis_fault){"network", "no memory"};
      return false;
    }
  }
  return true;
}

static bool read_unit(struct redis *r, struct link *l, size_t from, size_t to, struct round *round,
                      enum redirect *redirect, char *host, int *port) {
  *redirect = REDIRECT_NONE;
  for (size_t i = from; i < to; i++) {
    link_reply_free(&round->replies[i]);
    if (!link_read(l, &round->replies[i], &r->fault)) return false;
    if (*redirect == REDIRECT_NONE)
      *redirect = redirect_of(&round->replies[i].shown, host, sizeof round->host, port);
  }
  return true;
}

static bool send_round(struct redis *r, struct round *round) {
  for (size_t i = 0, end; i < r->count; i = end) {
    end = unit_end(r, i);
    if (!round->done[i] && !send_unit(r, r->link, i, end)) return false;
  }
  round->redirect = REDIRECT_NONE;
  for (size_t i = 0, end; i < r->count; i = end) {
    char host[sizeof round->host];
    enum redirect redirect;
    int port = 0;
    end = unit_end(r, i);
    if (round->done[i]) continue;
    if (!read_unit(r, r->link, i, end, round, &redirect, host, &port)) return false;
    round->done[i] = redirect == REDIRECT_NONE;
    if (redirect == REDIRECT_NONE || round->redirect != REDIRECT_NONE) continue;
    round->redirect = redirect;
    round->port = port;
    if (redirect != REDIRECT_LATER) memcpy(round->host, host, sizeof host);
  }
  return true;
}

static void pause_ms(int64_t ms) {
  struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
  nanosleep(&wait, NULL);
}

static void name_node(const struct redis *r, const struct round *round, struct redis_address *out) {
  const struct redis_address *here = r->node.host[0] != '\0' ? &r->node : &r->home;
  *out = r->home;
  out->path[0] = '\0';
  memcpy(out->host, round->host[0] != '\0' ? round->host : here->host, sizeof out->host);
  out->port = round->port;
}

static bool follow_moved(struct redis *r, const struct round *round) {
  name_node(r, round, &r->node);
  link_close(r->link);
  r->link = NULL;
  return redis_reach(r);
}

/* What is left goes to the node that the slot is moving to, each unit behind ASKING. The main link stays: it owns
 * the slot until MOVED says otherwise. */
static bool follow_ask(struct redis *r, struct round *round) {
  static const char *const asking[] = {"ASKING"};
  struct redis_address to;
  struct link_guard guard = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1};
  size_t asking_bytes;
  name_node(r, round, &to);
  struct link *l = link_open(&to, r->timeout_ms, &guard, &r->fault);
  char *command = link_format(1, asking, NULL, &asking_bytes);
  bool good = l != NULL && command != NULL;
  for (size_t i = 0, end; good && i < r->count; i = end) {
    char host[sizeof round->host];
    enum redirect redirect;
    int port;
    struct link_reply reply = {0};
    end = unit_end(r, i);
    if (round->done[i]) continue;
    good = link_queue(l, command, asking_bytes) && send_unit(r, l, i, end) &&
           link_read(l, &reply, &r->fault) && read_unit(r, l, i, end, round, &redirect, host, &port);
    link_reply_free(&reply);
    if (good) round->done[i] = redirect == REDIRECT_NONE;
  }
  free(command);
  link_close(l);
  pthread_mutex_destroy(&guard.lock);
  return good;
}

static bool all_done(const struct redis *r, const struct round *round) {
  for (size_t i = 0; i < r->count; i = unit_end(r, i))
    if (!round->done[i]) return false;
  return true;
}

/* False: the link is gone. What is still redirected after some rounds keeps that error as its answer. */
static bool run_rounds(struct redis *r, struct round *round) {
  int64_t until_ms = monotonic_ms() + r->timeout_ms;
  for (int i = 0; i < ROUNDS_MAX; i++) {
    if (!send_round(r, round)) return false;
    if (round->redirect == REDIRECT_MOVED && !follow_moved(r, round)) return false;
    if (round->redirect == REDIRECT_ASK && !follow_ask(r, round)) return false;
    if (all_done(r, round)) return true;
    if (round->redirect != REDIRECT_MOVED) {
      if (monotonic_ms() >= until_ms) break;
      pause_ms(LATER_MS);
    }
  }
  return true;
}

/* Runs what was added; the caller gets the replies in round->replies, of which it frees `count`. */
static bool run(struct redis *r, struct round *round) {
  *round = (struct round){.replies = calloc(r->count + 1, sizeof *round->replies),
                          .done = calloc(r->count + 1, sizeof *round->done)};
  if (r->no_memory || round->replies == NULL || round->done == NULL) {
    r->fault = (struct redis_fault){"memory", "no memory"};
    return false;
  }
  if (r->link == NULL) return false;
  if (run_rounds(r, round)) return true;
  redis_lost(r);
  return false;
}

static void end_run(struct redis *r, struct round *round) {
  for (size_t i = 0; round->replies != NULL && i < r->count; i++) link_reply_free(&round->replies[i]);
  free(round->replies);
  free(round->done);
  redis_forget_commands(r);
}

bool redis_flush(struct redis *r, void (*answer)(void *arg, size_t index, const struct redis_reply *reply),
                 void *arg) {
  struct round round;
  bool good = run(r, &round);
  for (size_t i = 0; good && answer != NULL && i < r->count; i++) answer(arg, i, &round.replies[i].shown);
  end_run(r, &round);
  return good;
}

const struct redis_reply *redis_ask(struct redis *r, int argc, const char *const *argv, const size_t *bytes) {
  struct round round;
  redis_forget_commands(r);
  redis_add(r, argc, argv, bytes);
  link_reply_free(&r->asked);
  bool good = run(r, &round);
  if (good) {
    r->asked = round.replies[0];
    round.replies[0] = (struct link_reply){.shown = {.text = ""}};
  }
  end_run(r, &round);
  return good ? &r->asked.shown : NULL;
}
