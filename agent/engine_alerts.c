/* The figures by which a live call is judged (agent/alerts.h). */
#include <math.h>

#include "agent/engine_internal.h"

struct saying {
  struct engine *e;
  const struct call *c;
};

static void say(void *arg, const struct alert *alert) {
  const struct saying *s = arg;
  if (alert->opened) s->e->metrics->alerts[alert->rule]++;
  s->e->effects.put_alert(s->e->effects.arg, s->c->facts->leg, s->c->summary.call_log_id, alert);
}

void call_close_alerts(struct engine *e, const struct moment *at, struct call *c) {
  if (e->effects.put_alert == NULL) return;
  alerts_close(&c->alerts, at->wall_us / 1000, say, &(struct saying){e, c});
}

void call_tick_alerts(struct engine *e, const struct moment *at, struct call *c) {
  if (e->effects.put_alert == NULL) return;
  if (c->summary.ended || c->hangup_us != 0) {
    call_close_alerts(e, at, c);
    return;
  }
  struct stream *stream = c->socket != NULL ? c->socket->stream : NULL;
  const double values[ALERT_RULES] = {
      [ALERT_QUALITY] = stream != NULL ? stream_newest_r(stream, c->summary.leg_codec) : NAN,
      [ALERT_STALL] = stream != NULL ? (double)stream_gap_us(stream, at) * 1e-3 : 0,
      [ALERT_STREAM_OUTAGE] = c->outage_us != 0 ? (double)(at->mono_us - c->outage_us) * 1e-3 : 0,
  };
  alerts_judge(&c->alerts, values, at->wall_us / 1000, say, &(struct saying){e, c});
}
