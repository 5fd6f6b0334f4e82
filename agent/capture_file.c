#include "agent/capture_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECONDS_MAX INT64_C(8000000000) /* the year 2223; in nanoseconds still far from 63 bits */

struct capture_file {
  pcap_t *pcap;
  enum packet_link link;
};

/* The first bytes of `path`, 0 of what is no regular file: a pipe would be waited for. */
static size_t first_bytes(const char *path, uint8_t *out, size_t bytes) {
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return 0;
  struct stat st;
  ssize_t got = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? read(fd, out, bytes) : 0;
  close(fd);
  return got > 0 ? (size_t)got : 0;
}

bool capture_file_is(const char *path, bool *compressed) {
  /* pcap of either byte order with micro- or nanoseconds, the one with longer records, and pcapng. */
  static const uint8_t magics[][4] = {
      {0xa1, 0xb2, 0xc3, 0xd4}, {0xd4, 0xc3, 0xb2, 0xa1}, {0xa1, 0xb2, 0x3c, 0x4d}, {0x4d, 0x3c, 0xb2, 0xa1},
      {0xa1, 0xb2, 0xcd, 0x34}, {0x34, 0xcd, 0xb2, 0xa1}, {0x0a, 0x0d, 0x0d, 0x0a}};
  static const uint8_t packed[][4] = {{0x1f, 0x8b}, {0x28, 0xb5, 0x2f, 0xfd}, {0xfd, '7', 'z', 'X'}};
  uint8_t first[4] = {0};
  size_t got = first_bytes(path, first, sizeof first);
  if (compressed != NULL) {
    *compressed = got >= 4 && (memcmp(first, packed[0], 2) == 0 || memcmp(first, packed[1], 4) == 0 ||
                               memcmp(first, packed[2], 4) == 0);
  }
  for (size_t i = 0; got == sizeof first && i < sizeof magics / sizeof *magics; i++) {
    if (memcmp(first, magics[i], sizeof first) == 0) return true;
  }
  return false;
}

static bool find_link(int datalink, enum packet_link *link) {
  static const struct {
    int datalink;
    enum packet_link link;
  } links[] = {{DLT_EN10MB, PACKET_ETHERNET},    {DLT_LINUX_SLL, PACKET_COOKED},
               {DLT_LINUX_SLL2, PACKET_COOKED2}, {DLT_NULL, PACKET_LOOPBACK},
               {DLT_LOOP, PACKET_LOOPBACK},      {DLT_RAW, PACKET_RAW_IP},
               {DLT_IPV4, PACKET_RAW_IP},        {DLT_IPV6, PACKET_RAW_IP}};
  for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
    if (links[i].datalink != datalink) continue;
    *link = links[i].link;
    return true;
  }
  return false;
}

struct capture_file *capture_file_open(const char *path, char *why, size_t why_bytes) {
  char error[PCAP_ERRBUF_SIZE] = "";
  struct capture_file *file = calloc(1, sizeof *file);
  if (file == NULL) {
    snprintf(why, why_bytes, "no memory");
    return NULL;
  }
  file->pcap = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, error);
  if (file->pcap == NULL) {
    /* Of a file that is not there the error already names it. */
    bool named = strncmp(error, path, strlen(path)) == 0;
    snprintf(why, why_bytes, "%s%s%s", named ? "" : path, named ? "" : ": ", error);
  } else if (!find_link(pcap_datalink(file->pcap), &file->link)) {
    const char *name = pcap_datalink_val_to_name(pcap_datalink(file->pcap));
    snprintf(why, why_bytes,
             "%s: link type %d (%s); Ethernet, Linux cooked 1 and 2, BSD loopback and raw IP are read", path,
             pcap_datalink(file->pcap), name != NULL ? name : "unknown");
  } else {
    return file;
  }
  capture_file_close(file);
  return NULL;
}

int capture_file_next(struct capture_file *file, struct capture_packet *packet, char *why, size_t why_bytes) {
  struct pcap_pkthdr *header;
  const u_char *data;
  int got = pcap_next_ex(file->pcap, &header, &data);
  if (got == PCAP_ERROR_BREAK) return 0;
  if (got != 1) {
    snprintf(why, why_bytes, "%s", pcap_geterr(file->pcap));
    return -1;
  }
  /* pcapng has 64 bits for the time, and a damaged file has anything in them. */
  int64_t seconds = header->ts.tv_sec;
  if (seconds < 0) seconds = 0;
  if (seconds > SECONDS_MAX) seconds = SECONDS_MAX;
  *packet = (struct capture_packet){.link = file->link,
                                    .wall_ns = seconds * 1000000000 + header->ts.tv_usec % 1000000000,
                                    .data = data,
                                    .bytes = header->caplen};
  return 1;
}

void capture_file_close(struct capture_file *file) {
  if (file == NULL) return;
  if (file->pcap != NULL) pcap_close(file->pcap);
  free(file);
}
