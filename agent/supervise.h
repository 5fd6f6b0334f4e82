/* What the service manager hears of us (sd_notify(3), sd_watchdog_enabled(3)), and whether every loop of the
 * process still turns. Without a manager (no NOTIFY_SOCKET) the words go nowhere and nothing is fed.
 *
 * The watchdog is fed by a timer of the main loop, at half the interval asked for: a loop that does not turn
 * does not feed. Other loops have a place in the registry and promise how long they may be quiet; the feed
 * is withheld from the first broken promise until it is mended, and the manager kills the process.
 *
 *   id = supervise_loop("store");
 *   supervise_expect(id, 300000);  // takes a batch
 *   supervise_expect(id, 0);       // waits for work
 *
 * The threads of store/ speak by store/pulse.h: .pulse = {supervise_pulse, &id}.
 *
 * What to promise: more than the sum of the time limits of what the loop waits for. A disk, MongoDB or Redis
 * that is slow within its limits is not a loop that is stuck, and a restart would not make it faster. A loop
 * that waits for work, however long, promises nothing (0). */
#ifndef AGENT_SUPERVISE_H
#define AGENT_SUPERVISE_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

/* ---- the registry: any thread ---- */

enum { SUPERVISED_MAX = 32 };

/* A place for one loop, which promises nothing yet. `name` is for the log and must stay. The id, or -1 when
 * all places are taken: then the other functions take no notice of it. */
int supervise_loop(const char *name);
/* Alive, and from now on never quiet for longer than that. 0: promises nothing. */
void supervise_expect(int id, int64_t max_quiet_ms);
/* The same for a thread that knows its place by a pointer to the id (store/pulse.h). */
void supervise_pulse(void *id, int64_t max_quiet_ms);
/* The loop has ended; its place is free. */
void supervise_leave(int id);
/* The name of a loop that broke its promise, NULL: none. `now_us` monotonic; `quiet_ms` may be NULL. */
const char *supervise_overdue(int64_t now_us, int64_t *quiet_ms);

/* ---- the words: the main loop's thread ---- */

struct supervisor;

/* Feeds from now on when the manager asks for it. NULL: no memory. */
struct supervisor *supervisor_create(uv_loop_t *loop);
/* READY=1 with the state of things in one line. Again after supervisor_reloading(). */
void supervisor_ready(struct supervisor *s, const char *status);
/* RELOADING=1 with MONOTONIC_USEC, as Type=notify-reload wants it. */
void supervisor_reloading(struct supervisor *s);
/* STOPPING=1. The manager's patience has to last from now to the next call of supervisor_extend(). */
void supervisor_stopping(struct supervisor *s, const char *status);
/* EXTEND_TIMEOUT_USEC: at most this long until the next word. */
void supervisor_extend(struct supervisor *s, int64_t ms);
/* STATUS= when the text is another than the last one. */
void supervisor_status(struct supervisor *s, const char *status);
/* The loop must run once more to let go of it. NULL is fine. */
void supervisor_destroy(struct supervisor *s);

#endif
