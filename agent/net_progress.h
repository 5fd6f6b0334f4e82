/* What `replay --to` shows on standard error while it plays: a bar on a terminal, else a line now and then.
 * Time is a parameter. Thread: one. */
#ifndef AGENT_NET_PROGRESS_H
#define AGENT_NET_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct net_progress {
  bool bar;
  int64_t end_us; /* of the fixture */
  /* Kept up to date by the player. */
  int64_t played_us;
  uint64_t frames, answered, refused, unanswered; /* answered: by a status; refused: of those, not 2xx */
  /* Its own. */
  int64_t shown_us;
  bool drawn;
};

/* `now_us` from the start of playing. Draws when it is time to: 5 times a second, or a line every 10 s. */
void net_progress_show(struct net_progress *p, int64_t now_us);
/* A line of its own, "sidetone replay: text", not in the middle of the bar. */
void net_progress_say(struct net_progress *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The last bar and the line of totals. */
void net_progress_end(struct net_progress *p);

#endif
