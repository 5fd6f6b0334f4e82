#include "agent/tcp_look.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

bool tcp_look(int fd, struct tcp_look *out) {
  struct tcp_info info;
  socklen_t bytes = sizeof info;
  int queued = 0;
  *out = (struct tcp_look){.rtt_us = 0};
  memset(&info, 0, sizeof info); /* an older kernel fills less of it */
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &bytes) != 0) return false;
  out->rtt_us = info.tcpi_rtt;
  out->rtt_var_us = info.tcpi_rtt != 0 ? info.tcpi_rttvar : 0; /* else its starting value */
  out->rtt_min_us = info.tcpi_min_rtt == UINT32_MAX ? 0 : info.tcpi_min_rtt;
  out->out_of_order_segments = info.tcpi_rcv_ooopack;
  out->bytes_received = info.tcpi_bytes_received;
  if (ioctl(fd, FIONREAD, &queued) == 0 && queued > 0) out->queued_bytes = (uint64_t)queued;
  return true;
}
