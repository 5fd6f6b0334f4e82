/* Everything that is known of a track from the numbers, times and sizes of its frames: ledger,
 * jitter, delay variation, stalls, skew, emulated playout, bursts, 10 s windows
 * (voice-quality.md 3), and the E-model's verdict on them (1.2, 1.3, 1.5).
 *
 * Use: delivery_init(), delivery_begin() when the format is known, delivery_frame() for each frame in
 * order of arrival, delivery_tick() about once a second, delivery_facts() whenever somebody looks.
 * Facts of several parts of a leg are put together by delivery_merge(); delivery_figures() makes the
 * published figures of facts. Facts are plain numbers, described by rows for storage.
 * No heap, no clock (time is a parameter), no lock; belongs to one thread. */
#ifndef DSP_DELIVERY_H
#define DSP_DELIVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dsp/codec.h"
#include "dsp/fields.h"

struct delivery_input {
  uint64_t number; /* timebase_place() */
  int64_t media_us;
  int64_t arrival_us;    /* monotonic, one reading a socket read */
  uint64_t read_ordinal; /* of that read: frames of one read share it */
  uint32_t duration_us;  /* of this frame */
  bool self_delayed;     /* our own loop lagged over 5 ms: not for arrival metrics */
  bool upstream_bad, sid;
  bool coded;   /* of a codec with modes: sound in a known one (dsp/inspect.h), */
  uint8_t mode; /* by which it is rated */
  uint32_t payload_bytes;
};

enum delivery_verdict {
  DELIVERY_OK,
  DELIVERY_DUPLICATE,
  DELIVERY_REORDERED, /* below the highest, not yet declared missing: still useful */
  DELIVERY_LATE,      /* after it was declared missing */
  DELIVERY_OUTLIER    /* a lone number far ahead, waiting for a second one or given up */
};

struct delivery_result {
  enum delivery_verdict verdict;
  bool restarted;   /* this frame confirmed a restart */
  int64_t stall_us; /* the delivery stood still for so long before it (3.7); 0: no stall, or one of our own */
  int64_t place_us; /* where its sound belongs, from the start of the track's first frame;
                       numbering and clock jumps taken out, pauses left in (speech-metrics.md 1) */
};

enum { DELIVERY_WINDOWS_MAX = 720, PDV_BUCKETS = 1 + 1000 + 900 + 1 };

struct delivery;       /* dsp/delivery.c's own; sized by delivery_bytes() */
struct delivery_facts; /* dsp/delivery_facts.h */
struct delivery_figures;
struct delivery_view;

enum quality_consumer { CONSUMER_PLAYOUT, CONSUMER_ASR_STREAM };

size_t delivery_bytes(void);
void delivery_init(struct delivery *d);
/* The format of the frames that follow; called again at a later `start`: the ledger opens a new segment. */
void delivery_begin(struct delivery *d, const struct codec *codec, uint32_t ptime_us);
struct delivery_result delivery_frame(struct delivery *d, const struct delivery_input *in);
void delivery_tick(struct delivery *d, int64_t now_us);
/* The facts as if the track ended now; `d` is not changed. */
void delivery_facts(const struct delivery *d, struct delivery_facts *out);

/* R of the newest full window of 10 s, or DELIVERY_R_ABSENT (dsp/delivery_facts.h). Cheap. */
double delivery_newest_r(const struct delivery *d, const struct delivery_view *view);

/* A window of 10 s with 5 s of expected sound or more, as a finding sees it. */
struct delivery_rating {
  int64_t start_us; /* from the track's first frame */
  double r;         /* LQ, of the stream's codec alone, or DELIVERY_R_ABSENT */
  double ppl_pct;   /* its effective loss */
};
/* The first one behind after_us (-1: of all) that is over; false: there is none yet. Windows that were merged
 * (dsp/delivery_facts.h) are passed over. Cheap. */
bool delivery_next_rating(const struct delivery *d, enum quality_consumer consumer, bool plc,
                          int64_t after_us, struct delivery_rating *out);
/* The same of facts, in which the last window is over as well. */
bool delivery_facts_next_rating(const struct delivery_facts *f, enum quality_consumer consumer, bool plc,
                                int64_t after_us, struct delivery_rating *out);
/* The sound of this stretch, in time of places, is silence that somebody put in (5.8). Frames at least half of
 * whose places lie in it are bad (3.6, 3.9), as long as they wait for their turn in the ledger (LEDGER_DEPTH
 * behind the newest, dsp/ledger.h): later, or once a restart has settled them, they have been counted as good.
 * So what waits to be decoded goes first: before delivery_begin(), and where delivery_leaps() says so. */
void delivery_inserted_silence(struct delivery *d, int64_t start_us, int64_t end_us);
/* delivery_frame() with this number may settle many frames at once: it leaps, or the one before has. */
bool delivery_leaps(const struct delivery *d, uint64_t number);

#endif
