/* SIGHUP: takes what can change without dropping a call, and says what waits for a restart. */
#include <stdio.h>
#include <string.h>

#include "agent/log.h"
#include "agent/serve.h"
#include "config/options.h"

struct changes {
  bool certificate, admin_token;       /* taken, should they have changed */
  char took[256], after_restart[1024]; /* names, never values */
};

static bool is_taken(const struct changes *changes, const char *name) {
  static const char *const always[] = {
      "agent.drain_s", "telnyx.public_key", "telnyx.stream_token", "telnyx.signature_tolerance_s",
      "log.level",     "log.format",        "log.numbers"};
  for (size_t i = 0; i < sizeof always / sizeof *always; i++) {
    if (strcmp(name, always[i]) == 0) return true;
  }
  if (strcmp(name, "admin.token") == 0) return changes->admin_token;
  bool file = strcmp(name, "listen.tls_certificate") == 0 || strcmp(name, "listen.tls_private_key") == 0;
  return file && changes->certificate;
}

static void note_change(void *arg, const char *name) {
  struct changes *changes = arg;
  bool taken = is_taken(changes, name);
  char *list = taken ? changes->took : changes->after_restart;
  size_t room = taken ? sizeof changes->took : sizeof changes->after_restart, length = strlen(list);
  snprintf(list + length, room - length, "%s%s", length > 0 ? ", " : "", name);
}

/* The old text is freed with `fresh`. */
static void swap(char **now, char **fresh) {
  char *old = *now;
  *now = *fresh;
  *fresh = old;
}

static void take(struct serve *s, struct config *fresh, const struct signature_keys *keys,
                 struct changes *changes) {
  struct config *now = &s->config;
  /* The address that is bound stays: other machines must not get in without a token. */
  changes->admin_token = *fresh->admin_token != '\0' || form_address_is_loopback(now->listen_admin);
  config_each_change(now, fresh, note_change, changes);
  bool said = strcmp(now->telnyx_stream_token, fresh->telnyx_stream_token) == 0 &&
              strcmp(now->telnyx_public_key, fresh->telnyx_public_key) == 0;
  swap(&now->telnyx_public_key, &fresh->telnyx_public_key);
  s->keys = *keys;
  swap(&now->telnyx_stream_token, &fresh->telnyx_stream_token);
  engine_stream_token(s->engine, now->telnyx_stream_token);
  if (changes->admin_token) swap(&now->admin_token, &fresh->admin_token);
  if (changes->certificate) {
    swap(&now->listen_tls_certificate, &fresh->listen_tls_certificate);
    swap(&now->listen_tls_private_key, &fresh->listen_tls_private_key);
  }
  now->agent_drain_s = fresh->agent_drain_s;
  now->telnyx_signature_tolerance_s = fresh->telnyx_signature_tolerance_s;
  now->log_level = fresh->log_level;
  now->log_format = fresh->log_format;
  now->log_numbers = fresh->log_numbers;
  log_configure((enum log_level)fresh->log_level, (enum log_format)fresh->log_format, fresh->log_numbers);
  log_event(LOG_INFO, NULL, "configuration reloaded",
            LOG_TEXT("took", *changes->took != '\0' ? changes->took : NULL),
            LOG_TEXT("after_restart_only", *changes->after_restart != '\0' ? changes->after_restart : NULL));
  if (!said) serve_say_what_is_open(s);
}

/* From the files that `from` names. A listener that began without TLS stays without. False: it has what it
 * had. */
static bool take_certificate(struct serve *s, const struct config *from) {
  char why[512];
  if (s->config.listen_tls_certificate[0] == '\0' || from->listen_tls_certificate[0] == '\0') return false;
  if (server_use_tls(s->server, "public", from->listen_tls_certificate, from->listen_tls_private_key, why,
                     sizeof why) != 0) {
    log_event(LOG_ERROR, NULL, "certificate not reloaded", LOG_TEXT("why", why));
    return false;
  }
  log_event(LOG_INFO, NULL, "certificate reloaded");
  return true;
}

void serve_reload(struct serve *s) {
  struct config fresh;
  struct signature_keys keys;
  char why[1024];
  if (!s->draining) supervisor_reloading(s->supervisor);
  bool loaded = config_load(&fresh, &s->cli->source, why, sizeof why, NULL, NULL) == 0;
  if (loaded && signature_keys_parse(fresh.telnyx_public_key, &keys, why, sizeof why) == 0) {
    struct changes changes = {.certificate = take_certificate(s, &fresh)};
    take(s, &fresh, &keys, &changes);
  } else {
    log_event(LOG_ERROR, NULL, "configuration not reloaded", LOG_TEXT("why", why));
    take_certificate(s, &s->config);
  }
  if (loaded) config_free(&fresh);
  if (!s->draining) serve_ready(s);
}
