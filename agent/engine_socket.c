/* Media sockets: who they are, what their frames mean, which of them measures a leg. */
#include <stdio.h>
#include <string.h>

#include "agent/engine_internal.h"
#include "agent/log.h"
#include "agent/rfc6455.h"
#include "telnyx/stream_key.h"

static struct socket *socket_find(const struct engine *e, conn_id id) {
  struct socket *s;
  HASH_FIND(hh, e->sockets, &id, sizeof id, s);
  return s;
}

void socket_free(struct engine *e, struct socket *s) {
  HASH_DEL(e->sockets, s);
  if (s->call != NULL) s->call->socket = NULL;
  stream_free(s->stream);
  free(s->key);
  free(s->only_leg);
  free(s);
}

static const char *call_name(const struct socket *s) {
  if (s->call == NULL) return s->name;
  /* Before its first fold a call has no other name than the leg's. */
  return *s->call->summary.call_log_id != '\0' ? s->call->summary.call_log_id : s->call->facts->leg;
}

void socket_refuse(struct engine *e, struct socket *s, int code, const char *reason) {
  s->closing = true;
  if (e->options.verbose) {
    log_event(code == RFC6455_POLICY ? LOG_WARN : LOG_INFO, call_name(s), "media socket closed by us",
              LOG_INT("code", code), LOG_TEXT("reason", reason));
  }
  if (e->effects.close_socket != NULL) e->effects.close_socket(e->effects.arg, s->id, code, reason);
}

/* One log line for each kind of fault on a socket; the counters have the rest. */
static void say_once(struct engine *e, struct socket *s, unsigned kind, const char *what) {
  uint32_t bit = 1u << (kind & 31);
  if ((s->said & bit) != 0) return;
  s->said |= bit;
  if (!e->options.verbose) return;
  log_event(LOG_WARN, call_name(s), "unusable media frame", LOG_TEXT("kind", what),
            LOG_TEXT("leg", s->call != NULL ? s->call->facts->leg : ""));
}

static void frame_fault(struct engine *e, struct socket *s, enum frame_fault fault) {
  e->metrics->frame_faults[fault]++;
  if (s->stream != NULL) stream_fault(s->stream);
  say_once(e, s, (unsigned)fault, frame_fault_name(fault));
}

static void media_fault(struct engine *e, struct socket *s, enum media_fault fault) {
  e->metrics->media_faults[fault]++;
  if (s->stream != NULL) stream_fault(s->stream);
  say_once(e, s, FRAME_FAULTS + (unsigned)fault, media_fault_name(fault));
}

void socket_look(struct engine *e, const struct moment *at, struct socket *s) {
  struct socket_evidence evidence;
  s->looked_us = at->mono_us;
  if (e->effects.look_at_socket == NULL || !e->effects.look_at_socket(e->effects.arg, s->id, &evidence))
    return;
  stream_evidence(s->stream, &evidence);
}

/* k never repeats for this agent.id. */
static struct stream *new_stream(struct engine *e, const struct moment *at) {
  char id[sizeof((struct part *)0)->id];
  snprintf(id, sizeof id, "%s_%llu", e->options.agent_id, (unsigned long long)e->next_part++);
  const struct stream_options options = {
      .consumer = e->options.fold.asr_stream ? CONSUMER_ASR_STREAM : CONSUMER_PLAYOUT,
      .plc = e->options.fold.plc,
      .expects_inbound = e->options.asks_for_streams};
  return stream_create(id, at, e->scratch, e->metrics, &options);
}

void engine_socket_opened(struct engine *e, conn_id id, const struct moment *at, enum socket_proof proof,
                          const char *key) {
  struct socket *s = calloc(1, sizeof *s);
  if (s == NULL) {
    if (e->effects.close_socket != NULL)
      e->effects.close_socket(e->effects.arg, id, RFC6455_INTERNAL, "no memory");
    return;
  }
  s->id = id;
  s->proof = proof;
  s->opened = *at;
  if (key != NULL) s->key = strdup(key);
  HASH_ADD(hh, e->sockets, id, sizeof s->id, s);
  if (!is_added(s)) {
    if (e->effects.close_socket != NULL)
      e->effects.close_socket(e->effects.arg, id, RFC6455_INTERNAL, "no memory");
    free(s->key);
    free(s);
    return;
  }
  if (key != NULL && s->key == NULL) socket_refuse(e, s, RFC6455_INTERNAL, "no memory");
}

/* The stream is made at the first message of a socket that owes nothing: half a megabyte is not for
 * strangers, nor for sockets that never say a word. False: no memory. */
static bool have_stream(struct engine *e, struct socket *s) {
  if (s->streamed || s->proof == PROOF_OWED) return true;
  s->streamed = true;
  s->stream = new_stream(e, &s->opened);
  return s->stream != NULL;
}

/* ---- frames ---------------------------------------------------------------------------------- */

static void on_media(struct engine *e, struct socket *s, const struct moment *at,
                     const struct media_frame *m) {
  if (s->proof == PROOF_OWED || s->stream == NULL) {
    e->metrics->media_frames[MEDIA_IGNORED]++;
    return;
  }
  if (m->has_sequence) stream_sequence(s->stream, m->sequence);
  if (m->bad_numbers > 0) frame_fault(e, s, FRAME_BAD_NUMBER);
  enum frame_fault fault = stream_media(s->stream, at, m);
  if (fault != FRAME_FINE) {
    frame_fault(e, s, fault);
  } else if (s->unpublished_us == 0) {
    s->unpublished_us = at->mono_us;
  }
}

/* A wrong token is refused wherever it is shown; none at all only where one is owed. */
static void on_connected(struct engine *e, struct socket *s, const struct frame *f) {
  const char *token = e->options.stream_token;
  if (token == NULL || token[0] == '\0' || f->token == NULL) return;
  if (!stream_token_equal(token, f->token)) {
    socket_refuse(e, s, RFC6455_POLICY, "wrong token in the connected frame");
  } else if (s->proof == PROOF_OWED) {
    s->proof = PROOF_DONE;
  }
}

/* The newest socket of a leg measures it; the older one is closed, its part with it. */
static void take_leg(struct engine *e, struct socket *s, const struct moment *at, struct call *c) {
  if (c->socket != NULL) {
    struct socket *older = c->socket;
    call_end_stream(e, at, c, PART_CLOSED);
    socket_refuse(e, older, RFC6455_NORMAL, "a newer socket of the leg took over");
  }
  c->socket = s;
  c->had_socket = true;
  c->outage_us = 0;
  c->part_stored_us = at->mono_us;
  c->part_delivered_us = 0;
  *c->missing = '\0';
  s->call = c;
  e->metrics->streams_open++;
}

static bool may_take(struct engine *e, struct socket *s, const struct moment *at, const char *leg) {
  if (s->proof == PROOF_OWED) {
    e->metrics->media_frames[MEDIA_IGNORED]++;
    return false;
  }
  if (s->proof == PROOF_DERIVED) {
    if (!stream_key_matches(e->options.stream_token, s->key, leg, at->wall_us / 1000000)) {
      socket_refuse(e, s, RFC6455_POLICY, "the key is for another leg, or has expired");
      return false;
    }
    s->only_leg = strdup(leg);
    if (s->only_leg == NULL) {
      socket_refuse(e, s, RFC6455_INTERNAL, "no memory");
      return false;
    }
    s->proof = PROOF_DONE;
  }
  if (s->only_leg != NULL && strcmp(s->only_leg, leg) != 0) { /* a `stop` in between changes nothing */
    socket_refuse(e, s, RFC6455_POLICY, "the key is for another leg");
    return false;
  }
  if (s->call != NULL && strcmp(s->call->facts->leg, leg) != 0) {
    media_fault(e, s, FAULT_OTHER_LEG);
    socket_refuse(e, s, RFC6455_POLICY, "start for another leg");
    return false;
  }
  return true;
}

void engine_stream_token(struct engine *e, const char *token) {
  e->options.stream_token = token;
}

bool engine_knows_key(const struct engine *e, const char *key, int64_t now_s) {
  for (const struct call *c = e->calls; c != NULL; c = c->hh.next) {
    if (stream_key_matches(e->options.stream_token, key, c->facts->leg, now_s)) return true;
  }
  return false;
}

static bool may_begin(struct engine *e, struct socket *s, const char *leg) {
  if (!e->no_new || call_find(e, leg) != NULL) return true;
  socket_refuse(e, s, RFC6455_GOING_AWAY, "draining: no new legs");
  return false;
}

/* Facts of the leg: those of the store join later, so this bounds what one process lets in. */
static bool too_many_parts(struct engine *e, struct socket *s, const struct call *c) {
  if (s->call != NULL || c->facts->part_count < LEG_PARTS_MAX) return false;
  media_fault(e, s, FAULT_TOO_MANY_STREAMS);
  socket_refuse(e, s, RFC6455_POLICY, "too many streams of this leg");
  return true;
}

static void on_start(struct engine *e, struct socket *s, const struct moment *at, const struct frame *f) {
  if (!may_take(e, s, at, f->call_control_id) || !may_begin(e, s, f->call_control_id)) return;
  if (s->stream == NULL) s->stream = new_stream(e, at); /* streamed again on the same socket */
  struct call *c = call_get(e, at, f->call_control_id, true);
  if (c == NULL || s->stream == NULL) {
    socket_refuse(e, s, RFC6455_INTERNAL, "no memory");
    return;
  }
  if (too_many_parts(e, s, c)) return;
  bool taken = s->call == NULL;
  if (taken) take_leg(e, s, at, c);
  if (f->has_sequence) stream_sequence(s->stream, f->sequence);
  stream_leg_codec(s->stream, c->summary.leg_codec);
  if (!stream_start(s->stream, at, f)) media_fault(e, s, FAULT_CODEC);
  if (!taken && at->mono_us - c->part_stored_us < START_EVERY_US) return;
  call_store_part(e, at, c);
  call_settle_soon(e, at, c, true);
  if (e->options.verbose) {
    log_event(LOG_INFO, c->summary.call_log_id, "stream started", LOG_TEXT("leg", c->facts->leg),
              LOG_TEXT("encoding", f->encoding), LOG_INT("rate_hz", f->sample_rate_hz));
  }
}

static void end_stream(struct engine *e, struct socket *s, const struct moment *at) {
  struct call *c = s->call;
  if (c != NULL) {
    call_end_stream(e, at, c, PART_CLOSED);
    call_settle_soon(e, at, c, true);
  } else if (s->stream != NULL) { /* never got a `start`: nobody knows whose frames these were */
    stream_end(s->stream, at, PART_CLOSED);
    stream_free(s->stream);
    s->stream = NULL;
  }
}

static void on_frame(struct engine *e, struct socket *s, const struct moment *at, const struct frame *f) {
  if (s->stream != NULL && f->kind != FRAME_MEDIA && f->kind != FRAME_START && f->has_sequence) {
    stream_sequence(s->stream, f->sequence);
  }
  switch (f->kind) {
    case FRAME_CONNECTED:
      on_connected(e, s, f);
      break;
    case FRAME_START:
      on_start(e, s, at, f);
      break;
    case FRAME_MEDIA:
      on_media(e, s, at, &f->media);
      break;
    case FRAME_DTMF:
      if (s->call != NULL) stream_dtmf(s->stream, at, f);
      break;
    case FRAME_ERROR:
      if (s->call != NULL) stream_error(s->stream, at, f);
      break;
    case FRAME_STOP:
      end_stream(e, s, at);
      break;
    case FRAME_MARK:
      break; /* an echo of what we never send */
    case FRAME_UNKNOWN:
      media_fault(e, s, FAULT_UNKNOWN_EVENT);
      break;
  }
}

void engine_socket_message(struct engine *e, conn_id id, const struct moment *at, bool text, bool utf8,
                           const char *data, size_t bytes) {
  struct socket *s = socket_find(e, id);
  if (s == NULL) return;
  if (s->closing) {
    e->metrics->media_frames[MEDIA_IGNORED]++;
    return;
  }
  if (!have_stream(e, s)) {
    socket_refuse(e, s, RFC6455_INTERNAL, "no memory");
    return;
  }
  struct media_frame media;
  if (text && utf8 && frame_scan_media(data, bytes, &media)) {
    on_media(e, s, at, &media);
    return;
  }
  if (!text) {
    media_fault(e, s, FAULT_BINARY);
  } else if (!utf8) {
    media_fault(e, s, FAULT_NOT_UTF8);
  } else {
    struct frame frame;
    enum frame_fault fault = frame_parse(data, bytes, &frame);
    if (fault == FRAME_FINE) {
      on_frame(e, s, at, &frame);
    } else {
      frame_fault(e, s, fault);
    }
    frame_release(&frame);
  }
}

void engine_socket_failed(struct engine *e, conn_id id, int code) {
  struct socket *s = socket_find(e, id);
  if (s == NULL || s->closing) return;
  media_fault(e, s, code == RFC6455_TOO_BIG ? FAULT_MESSAGE_TOO_LARGE : FAULT_PROTOCOL);
}

void engine_socket_closed(struct engine *e, conn_id id, const struct moment *at, int code) {
  struct socket *s = socket_find(e, id);
  if (s == NULL) return;
  if (e->options.verbose) log_event(LOG_INFO, call_name(s), "media socket gone", LOG_INT("code", code));
  if (s->call != NULL && s->stream != NULL && !s->closing) { /* no `stop` came */
    call_miss_stream(s->call, at, stream_part_id(s->stream));
    s->call->outage_us = at->mono_us;
  }
  end_stream(e, s, at);
  socket_free(e, s);
}
