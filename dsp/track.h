/* The two tracks of a stream: what the caller says, and what is said to him. */
#ifndef DSP_TRACK_H
#define DSP_TRACK_H

enum { TRACK_COUNT = 2 };
enum track { TRACK_INBOUND, TRACK_OUTBOUND };

/* "inbound", "outbound" */
static inline const char *track_name(int track) {
  return track == TRACK_OUTBOUND ? "outbound" : "inbound";
}

#endif
