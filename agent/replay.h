/* Fixtures played: offline through the engine on a virtual clock, or at a server over real sockets. */
#ifndef AGENT_REPLAY_H
#define AGENT_REPLAY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "agent/fixture.h"
#include "config/config.h"

/* The CallLogs of a fixture, stripped as replay prints them, in order of (initiatedAt, callLogId).
 * A new reference; NULL when there is no memory. */
json_t *replay_offline(struct fixture *fixture, const struct config *config);

/* Compares by telnyx.callControlId (contract 1); prints path, expected, got. Number of differences, -1
 * when the file cannot be read (said on standard error). */
int replay_expect(const json_t *got, const char *file);

struct replay_net {
  const char *url; /* http://host:port or https://host:port */
  double speed;    /* 1: as recorded; 0: as fast as it can */
  bool fresh;
  const unsigned char *seed; /* 32 bytes, NULL: webhooks go unsigned */
  bool progress;             /* a bar on standard error */
};
/* 0, or -1 with what went wrong said on standard error. */
int replay_over_network(struct fixture *fixture, const struct replay_net *net);

#endif
