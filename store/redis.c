/* Links to Redis servers, and when to make them. The only file with hiredis. */
#include "store/redis.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#ifdef SIDETONE_REDIS_TLS
#include <hiredis/hiredis_ssl.h>
#include <openssl/ssl.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

#include "store/clock.h"
#include "store/redis_internal.h"

enum { BACKOFF_FIRST_MS = 1000, BACKOFF_MAX_MS = 10000 };

struct link {
  redisContext *context;
  struct link_guard *guard;
};

/* ---- replies --------------------------------------------------------------------------------- */

static bool show(const redisReply *raw, struct redis_reply *out) {
  static const struct redis_reply nothing = {.kind = REDIS_NIL, .text = ""};
  *out = nothing;
  switch (raw->type) {
    case REDIS_REPLY_STRING:
      out->kind = REDIS_TEXT;
      break;
    case REDIS_REPLY_STATUS:
      out->kind = REDIS_STATUS;
      break;
    case REDIS_REPLY_ERROR:
      out->kind = REDIS_ERROR;
      break;
    case REDIS_REPLY_INTEGER:
      out->kind = REDIS_INTEGER;
      out->integer = raw->integer;
      return true;
    case REDIS_REPLY_ARRAY: {
      struct redis_reply *items = calloc(raw->elements + 1, sizeof *items);
      out->kind = REDIS_ARRAY;
      out->items = items;
      if (items == NULL) return false;
      for (; out->count < raw->elements; out->count++)
        if (!show(raw->element[out->count], &items[out->count])) return false;
      return true;
    }
    default:
      return true;
  }
  out->text = raw->str;
  out->bytes = (size_t)raw->len;
  return true;
}

static void hide(const struct redis_reply *shown) {
  if (shown->kind != REDIS_ARRAY || shown->items == NULL) return;
  for (size_t i = 0; i < shown->count; i++) hide(&shown->items[i]);
  free((void *)(uintptr_t)shown->items);
}

void link_reply_free(struct link_reply *reply) {
  hide(&reply->shown);
  if (reply->raw != NULL) freeReplyObject(reply->raw);
  *reply = (struct link_reply){.shown = {.text = ""}};
}

/* ---- a link ---------------------------------------------------------------------------------- */

static void fault_of_context(const redisContext *c, const char *what, struct redis_fault *fault) {
  bool timeout = c != NULL && c->err == REDIS_ERR_IO && (errno == EAGAIN || errno == ETIMEDOUT);
  timeout = timeout || (c != NULL && strstr(c->errstr, "timed out") != NULL);
  snprintf(fault->kind, sizeof fault->kind, "%s", timeout ? "timeout" : "network");
  if (c == NULL) {
    snprintf(fault->text, sizeof fault->text, "no memory");
  } else {
    snprintf(fault->text, sizeof fault->text, "%s: %s", what, timeout ? "no answer in time" : c->errstr);
  }
}

/* What the guard lets others interrupt. False: somebody has, already. */
static bool guard_hold(struct link_guard *guard, int fd) {
  pthread_mutex_lock(&guard->lock);
  bool go_on = !guard->interrupted;
  guard->fd = go_on ? fd : -1;
  pthread_mutex_unlock(&guard->lock);
  return go_on;
}

void link_close(struct link *l) {
  if (l == NULL) return;
  guard_hold(l->guard, -1);
  redisFree(l->context);
  free(l);
}

#ifdef SIDETONE_REDIS_TLS
/* The system's certificate authorities; the certificate must name the host. hiredis' own contexts do not ask for the
 * name, so the session is made here; the connection owns it then. */
static bool secure(redisContext *c, const char *host, struct redis_fault *fault) {
  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  SSL *session = context != NULL && SSL_CTX_set_default_verify_paths(context) == 1 ? SSL_new(context) : NULL;
  if (context != NULL) SSL_CTX_free(context); /* the session holds it */
  snprintf(fault->kind, sizeof fault->kind, "tls");
  if (session == NULL ||
      (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), host) != 1 &&
       SSL_set1_host(session, host) != 1) ||
      SSL_ctrl(session, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, (void *)(uintptr_t)host) !=
          1) {
    snprintf(fault->text, sizeof fault->text, "TLS: no session");
    if (session != NULL) SSL_free(session);
    return false;
  }
  SSL_set_verify(session, SSL_VERIFY_PEER, NULL);
  if (redisInitiateSSL(c, session) == REDIS_OK) return true;
  snprintf(fault->text, sizeof fault->text, "TLS: %.180s", c->errstr);
  return false;
}
#else
static bool secure(redisContext *c, const char *host, struct redis_fault *fault) {
  (void)c, (void)host;
  snprintf(fault->kind, sizeof fault->kind, "tls");
  snprintf(fault->text, sizeof fault->text, "this build's hiredis has no TLS");
  return false;
}
#endif

static void name_server(const struct redis_address *address, char *out, size_t out_bytes) {
  if (address->path[0] != '\0') {
    snprintf(out, out_bytes, "%s", address->path);
  } else {
    snprintf(out, out_bytes, "%s port %d", address->host, address->port);
  }
}

static redisContext *dial(const struct redis_address *address, int64_t timeout_ms,
                          struct redis_fault *fault) {
  struct timeval wait = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
  bool local = address->path[0] != '\0';
  redisContext *c = local ? redisConnectUnixWithTimeout(address->path, wait)
                          : redisConnectWithTimeout(address->host, address->port, wait);
  if (c == NULL || c->err != 0) {
    char what[300];
    name_server(address, what, sizeof what);
    fault_of_context(c, what, fault);
  } else if (redisSetTimeout(c, wait) != REDIS_OK) {
    fault_of_context(c, "timeouts", fault);
  } else if (!address->tls || secure(c, address->host, fault)) {
    if (!local) redisEnableKeepAlive(c); /* a half-open link ends by the timeouts even when it is refused */
    return c;
  }
  if (c != NULL) redisFree(c);
  return NULL;
}

/* One command of the greeting. An error reply is a fault, unless it may fail. */
static bool greet(struct link *l, int argc, const char *const *argv, bool may_fail,
                  struct redis_fault *fault) {
  size_t bytes;
  char *command = link_format(argc, argv, NULL, &bytes);
  struct link_reply reply = {0};
  bool good = command != NULL && link_queue(l, command, bytes) && link_read(l, &reply, fault);
  if (good && reply.shown.kind == REDIS_ERROR && !may_fail) {
    struct sink_outcome outcome;
    redis_classify(&reply.shown, &outcome);
    snprintf(fault->kind, sizeof fault->kind, "%s", outcome.kind);
    snprintf(fault->text, sizeof fault->text, "%s", outcome.reason);
    good = false;
  }
  link_reply_free(&reply);
  free(command);
  return good;
}

static bool greeting(struct link *l, const struct redis_address *address, struct redis_fault *fault) {
  const char *const with_user[] = {"AUTH", address->user, address->password};
  const char *const without[] = {"AUTH", address->password};
  const char *const name[] = {"CLIENT", "SETNAME", "sidetone"}, *const ping[] = {"PING"};
  char db[16];
  snprintf(db, sizeof db, "%d", address->db);
  const char *const select[] = {"SELECT", db};
  if (address->user[0] != '\0') {
    if (!greet(l, 3, with_user, false, fault)) return false;
  } else if (address->password[0] != '\0') {
    if (!greet(l, 2, without, false, fault)) return false;
  }
  if (!greet(l, 3, name, true, fault)) return false;
  if (address->db != 0 && !greet(l, 2, select, false, fault)) return false;
  return greet(l, 1, ping, false, fault); /* LOADING, NOAUTH and a replica without its master show here */
}

/* Which server said so; and one that hangs up on a greeting, or answers with something else, may not be what it was
 * taken for. */
static void say_who(const struct redis_address *address, struct redis_fault *fault) {
  const struct redis_fault said = *fault;
  bool odd = strcmp(said.kind, "network") == 0;
  char what[300];
  name_server(address, what, sizeof what);
  snprintf(fault->text, sizeof fault->text, "%.70s: %.90s%s", what, said.text,
           odd ? "; it may want TLS, or be no Redis" : "");
}

struct link *link_open(const struct redis_address *address, int64_t timeout_ms, struct link_guard *guard,
                       struct redis_fault *fault) {
  redisContext *c = dial(address, timeout_ms, fault);
  if (c == NULL) return NULL;
  struct link *l = calloc(1, sizeof *l);
  if (l == NULL) {
    fault_of_context(NULL, "", fault);
    redisFree(c);
    return NULL;
  }
  *l = (struct link){.context = c, .guard = guard};
  if (!guard_hold(guard, c->fd)) {
    *fault = (struct redis_fault){"network", "interrupted"};
  } else if (greeting(l, address, fault)) {
    return l;
  } else {
    say_who(address, fault);
  }
  link_close(l);
  return NULL;
}

char *link_format(int argc, const char *const *argv, const size_t *bytes, size_t *out_bytes) {
  char *text = NULL;
  long long length =
      redisFormatCommandArgv(&text, argc, (const char **)(uintptr_t)argv, (size_t *)(uintptr_t)bytes);
  if (length < 0) return NULL;
  *out_bytes = (size_t)length;
  return text;
}

bool link_queue(struct link *l, const char *command, size_t bytes) {
  return redisAppendFormattedCommand(l->context, command, bytes) == REDIS_OK;
}

bool link_read(struct link *l, struct link_reply *out, struct redis_fault *fault) {
  void *raw = NULL;
  *out = (struct link_reply){.shown = {.text = ""}};
  errno = 0;
  if (redisGetReply(l->context, &raw) != REDIS_OK || raw == NULL) {
    fault_of_context(l->context, "connection lost", fault);
    return false;
  }
  out->raw = raw;
  if (show(raw, &out->shown)) return true;
  fault_of_context(NULL, "", fault);
  link_reply_free(out);
  return false;
}

/* ---- when to connect ------------------------------------------------------------------------- */

int redis_create(struct redis **out, const struct redis_options *options, char *why, size_t why_bytes) {
  struct redis *r = calloc(1, sizeof *r);
  *out = NULL;
  if (r == NULL) {
    snprintf(why, why_bytes, "no memory");
    return -1;
  }
  if (redis_check_url(options->url, why, why_bytes) != 0 ||
      redis_url_parse(options->url, &r->home, why, why_bytes) != 0) {
    free(r);
    return -1;
  }
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  r->dice = (uint64_t)now.tv_nsec ^ (uint64_t)(uintptr_t)r;
  r->timeout_ms = options->timeout_ms;
  r->guard.fd = -1;
  pthread_mutex_init(&r->guard.lock, NULL);
  r->fault = (struct redis_fault){"network", "not connected yet"};
  *out = r;
  return 0;
}

void redis_free(struct redis *r) {
  if (r == NULL) return;
  link_close(r->link);
  redis_forget_commands(r);
  free(r->commands);
  link_reply_free(&r->asked);
  pthread_mutex_destroy(&r->guard.lock);
  explicit_bzero(r->home.password, sizeof r->home.password);
  free(r);
}

bool redis_reach(struct redis *r) {
  struct redis_address to = r->home;
  bool led = r->node.host[0] != '\0';
  if (led) {
    memcpy(to.host, r->node.host, sizeof to.host);
    to.port = r->node.port;
    to.path[0] = '\0';
  }
  r->link = link_open(&to, r->timeout_ms, &r->guard, &r->fault);
  if (r->link == NULL) {
    r->node.host[0] = '\0'; /* it may be gone: ask the first one again where the keys are */
    return false;
  }
  r->fresh = true;
  r->backoff_ms = 0;
  r->next_try_ms = 0;
  return true;
}

/* xorshift64*: which of many agents tries first is all that hangs on it. */
static uint64_t roll(struct redis *r) {
  r->dice ^= r->dice >> 12;
  r->dice ^= r->dice << 25;
  r->dice ^= r->dice >> 27;
  return r->dice * 2685821657736338717ULL;
}

void redis_lost(struct redis *r) {
  link_close(r->link);
  r->link = NULL;
  int64_t most = r->backoff_ms == 0 ? BACKOFF_FIRST_MS : r->backoff_ms * 2;
  r->backoff_ms = most < BACKOFF_MAX_MS ? most : BACKOFF_MAX_MS;
  r->next_try_ms = monotonic_ms() + (int64_t)(roll(r) % (uint64_t)r->backoff_ms);
}

bool redis_ready(struct redis *r, bool *fresh) {
  if (fresh != NULL) *fresh = false;
  if (r->link == NULL) {
    if (monotonic_ms() < r->next_try_ms) return false;
    if (!redis_reach(r)) {
      redis_lost(r);
      return false;
    }
  }
  if (fresh != NULL) {
    *fresh = r->fresh;
    r->fresh = false;
  }
  return true;
}

const char *redis_error(const struct redis *r, const char **kind) {
  if (kind != NULL) *kind = r->fault.kind;
  return r->fault.text;
}

void redis_interrupt(struct redis *r) {
  pthread_mutex_lock(&r->guard.lock);
  r->guard.interrupted = true;
  if (r->guard.fd >= 0) shutdown(r->guard.fd, SHUT_RDWR);
  pthread_mutex_unlock(&r->guard.lock);
}
