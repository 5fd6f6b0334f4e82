/* Capture files, pcap and pcapng, packet by packet: the only part that knows libpcap. One thread. */
#ifndef AGENT_CAPTURE_FILE_H
#define AGENT_CAPTURE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "telnyx/packet.h"

struct capture_file;

struct capture_packet {
  enum packet_link link;
  int64_t wall_ns;     /* since 1970, by the clock of whoever captured */
  const uint8_t *data; /* until the next call */
  size_t bytes;
};

/* Whether a regular file begins as a capture does, or as a compressed one may (`compressed`, which can be
 * NULL). False for what cannot be opened, too: whoever opens it next says why. */
bool capture_file_is(const char *path, bool *compressed);
/* NULL with `why`: it cannot be read, or its link layer is not one of ours. */
struct capture_file *capture_file_open(const char *path, char *why, size_t why_bytes);
/* 1 a packet, 0 the end, -1 with `why`: what follows cannot be read, the file being cut or damaged. */
int capture_file_next(struct capture_file *file, struct capture_packet *packet, char *why, size_t why_bytes);
void capture_file_close(struct capture_file *file);

#endif
