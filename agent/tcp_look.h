/* What the kernel knows of a TCP connection: TCP_INFO (voice-quality.md 3.7). A header of its own, because the kernel's
 * and the C library's cannot be included together. Thread: any. */
#ifndef AGENT_TCP_LOOK_H
#define AGENT_TCP_LOOK_H

#include <stdbool.h>
#include <stdint.h>

struct tcp_look {
  uint32_t rtt_us, rtt_var_us; /* smoothed round trip of what we send, its mean deviation; 0: no sample yet */
  uint32_t rtt_min_us;         /* the least of the last minutes; 0: unknown */
  uint64_t out_of_order_segments; /* received since the connection began; 0 on kernels before 5.4 */
  uint64_t bytes_received;        /* the same */
  uint64_t queued_bytes;          /* received and not read */
};

/* False: it is no TCP connection; `out` is zeros. */
bool tcp_look(int fd, struct tcp_look *out);

#endif
