/* The state behind dsp/delivery.h, shared by dsp/delivery.c (the frames as they come) and
 * dsp/delivery_collect.c (what its parts have counted). Nobody else includes it. */
#ifndef DSP_DELIVERY_STATE_H
#define DSP_DELIVERY_STATE_H

#include "dsp/burst.h"
#include "dsp/delivery.h"
#include "dsp/delivery_facts.h"
#include "dsp/jitter.h"
#include "dsp/ledger.h"
#include "dsp/pdv.h"
#include "dsp/playout.h"
#include "dsp/recovery.h"
#include "dsp/skew.h"
#include "dsp/timeline.h"
#include "dsp/windows.h"

struct delivery_state {
  uint32_t ptime_us;
  const struct codec *codec;
  uint32_t last_ptime_us;     /* in force when `last` came */
  bool has_last;              /* some frame came */
  struct timeline_point last; /* the highest frame of the segment */
  int64_t feed_us;            /* place of the next number the ledger hands back, if it is missing */
  int64_t stall_us;           /* before the frame at hand */
  uint64_t read_ordinal, read_frames;
  struct delivery_input held; /* the frame of the number the ledger has set aside */
  struct recovery recovery;
  struct ledger ledger;
  struct jitter jitter;
  struct pdv pdv;
  struct skew skew;
  struct playout playout;
  struct burst burst[DELIVERY_CONSUMERS];
  struct windows windows;
};

/* Into the facts, what the parts of `s` count themselves. Everything before has been settled. */
void delivery_collect(const struct delivery_state *s, struct delivery_facts *f);

#endif
