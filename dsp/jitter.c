#include "dsp/jitter.h"

enum { GAIN = 16 };

bool jitter_add(struct jitter *j, int64_t arrival_us, int64_t media_us) {
  int64_t transit_us = arrival_us - media_us;
  if (!j->anchored) {
    j->anchored = true;
    j->transit_us = transit_us;
    j->media_us = media_us;
    return false;
  }
  if (media_us == j->media_us) return false;

  int64_t d_us = transit_us - j->transit_us;
  double d_ms = (double)(d_us < 0 ? -d_us : d_us) / 1000.0;
  j->transit_us = transit_us;
  j->media_us = media_us;
  j->j_ms += (d_ms - j->j_ms) / GAIN;
  j->count++;
  j->sum_ms += j->j_ms;
  j->abs_d_sum_ms += d_ms;
  if (j->j_ms > j->max_ms) j->max_ms = j->j_ms;
  return true;
}

void jitter_unanchor(struct jitter *j) {
  j->anchored = false;
}

void rtcp_jitter_add(struct rtcp_jitter *j, uint32_t arrival_ticks, uint32_t media_ticks) {
  uint32_t transit_ticks = arrival_ticks - media_ticks;
  if (j->anchored) {
    int32_t d = (int32_t)(transit_ticks - j->transit_ticks);
    uint32_t magnitude = d < 0 ? 0 - (uint32_t)d : (uint32_t)d;
    j->scaled += magnitude - ((j->scaled + GAIN / 2) / GAIN);
  }
  j->anchored = true;
  j->transit_ticks = transit_ticks;
}

uint32_t rtcp_jitter_ticks(const struct rtcp_jitter *j) {
  return j->scaled / GAIN;
}

void rtcp_jitter_rescale(struct rtcp_jitter *j, uint32_t from_hz, uint32_t to_hz) {
  if (from_hz != 0) j->scaled = (uint32_t)((uint64_t)j->scaled * to_hz / from_hz);
  j->anchored = false;
}
