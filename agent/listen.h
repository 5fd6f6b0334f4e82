/* Listening TCP sockets on exactly one address. */
#ifndef AGENT_LISTEN_H
#define AGENT_LISTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/* Binds and listens on HOST:PORT or [v6]:PORT (port 0: the system chooses); a host name gives its first
 * address. Non-blocking, close-on-exec; [::] does not take IPv4. `bound` (may be NULL) gets the address that
 * was bound. Returns the descriptor, or -1 with `why` (address and reason). Blocks for a name's look-up. */
int listen_on(const char *address, char *bound, size_t bound_bytes, char *why, size_t why_bytes);

/* 127.0.0.0/8, ::1, or the former mapped into the latter's family. */
bool address_is_loopback(const struct sockaddr *address);

#endif
