/* rtp_streams CAPTURE: what `analyze` has under rfc3550, to the digits that tshark prints. One line a stream:
 * ssrc, lost, mean and maximum jitter in ms. */
#include <stdio.h>

#include "agent/capture.h"

int main(int argc, char **argv) {
  char why[512] = "one capture is needed";
  struct capture_names *names = capture_names_new();
  struct capture c;
  if (argc != 2 || names == NULL || !capture_read(&c, names, argv[1], why, sizeof why)) {
    fprintf(stderr, "rtp_streams: %s\n", why);
    return 1;
  }
  for (const struct capture_stream *s = c.streams; s != NULL; s = s->hh.next) {
    char src[PACKET_ADDRESS_BYTES];
    packet_address_text(&s->key.src, src);
    printf("0x%08X %s %lld %.3f %.3f\n", s->key.ssrc, src, (long long)rtp_peer_lost(&s->peer),
           s->peer.jitter_mean_ms, s->peer.jitter_max_ms);
  }
  capture_free(&c);
  capture_names_free(names);
  return 0;
}
