/* `sidetone analyze` of a capture: every RTP stream of a pcap or pcapng file, with the figures of
 * voice-quality.md 8, what tshark would print, RTCP and telephone events (contract.md 1). The file is read
 * twice: session descriptions first, then the sound, so that names may come late. One thread. */
#ifndef AGENT_CAPTURE_H
#define AGENT_CAPTURE_H

#include <jansson.h>
#include <stdbool.h>

#include "agent/capture_names.h"
#include "agent/capture_reports.h"
#include "agent/capture_stream.h"
#include "dsp/delivery.h"

/* Of each some 100 KB are kept, and its part of the document. */
enum { CAPTURE_STREAMS_MAX = 16384 };

struct capture {
  struct capture_stream *streams; /* a uthash in order of their first packets */
  bool full;                      /* there were more, which were passed over */
  struct capture_reports *reports;
  struct candidate *candidates; /* what may be streams, the least recently heard first */
  int64_t base_ns;              /* of the first packet */
  bool based;
  uint64_t fragments, cut; /* packets that were passed over, and why */
  char broken[512];        /* why the file ended early; empty: it did not */
};

struct capture_options {
  bool plc;
  enum quality_consumer consumer;
};

/* False with `why`. `names` holds the options and learns from the file; it must outlive `out`, which needs
 * capture_free() in any case. A file that is cut is read as far as it goes: `broken`. */
bool capture_read(struct capture *out, struct capture_names *names, const char *path, char *why,
                  size_t why_bytes);
void capture_free(struct capture *c);
/* {"streams": [...]}; NULL: no memory. */
json_t *capture_document(const struct capture *c, const struct capture_options *options);

#endif
