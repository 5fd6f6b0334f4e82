/* How bursts of loss are remembered (voice-quality.md 3.10; Clark, ETSI TS 101 329-5 Annex E): the felt
 * impairment rises towards that of a burst while it lasts, falls back in the gap after it, and what was
 * bad last weighs most at the end. An extra beside the mean of R. Pure. */
#ifndef DSP_RECENCY_H
#define DSP_RECENCY_H

struct recency {
  double i1; /* felt at the end of a burst */
  double i2; /* felt at the end of a gap */
  double av; /* mean over both */
};

/* Of bursts of burst_s with impairment ie_burst, each followed by a gap of gap_s with ie_gap, for ever.
 * Lengths at least 0, one of them above. */
struct recency recency_of(double ie_burst, double ie_gap, double burst_s, double gap_s);
/* Remembered when the call ends since_s after its last burst. */
double recency_end(const struct recency *r, double since_s);

#endif
