/* The way of live figures to Redis (contract.md 5): a slice of the calls each 1/20 of redis.live_interval_ms, so that no
 * turn of the loop makes all of them. On the loop's thread. */
#ifndef AGENT_SERVE_LIVE_H
#define AGENT_SERVE_LIVE_H

#include <jansson.h>

struct serve;
struct engine_effects;

/* An exit status; nothing to do without redis.url. Before the engine is made. */
int serve_live_start(struct serve *s);
/* The loop turns: slices begin. The engine is there. */
void serve_live_run(struct serve *s);
/* Adds what the engine tells of ends. */
void serve_live_effects(struct serve *s, struct engine_effects *effects);
/* No more figures; ends are still sent. Never blocks. */
void serve_live_finish(struct serve *s);
/* Before the loop's last turns; waits for what is being sent, within redis.timeout_ms. */
void serve_live_stop(struct serve *s);
/* Why /readyz is degraded: away, an eviction policy that loses. */
void serve_live_ready(struct serve *s, json_t *reasons);
/* Brings sidetone_frame_to_metric_seconds up to date. */
void serve_live_metrics(struct serve *s);

#endif
