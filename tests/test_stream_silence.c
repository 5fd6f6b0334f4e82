/* Inserted silence on random streams: whatever is lost, late, out of order or numbered anew, each frame of
 * silence that the sound shows is a frame of the delivery's, and is bad; but for runs that a restart cuts. The
 * seed is in every failure. */
#include "tests/seed.h"
#include "tests/stream_rig.h"
#include "tests/tones.h"

enum { ROUNDS = 40, FRAMES = 1500, QUIET_HEAD = 60 };

static int16_t sound[SAMPLES];
static uint32_t dice;

static uint32_t below(uint32_t n) {
  dice = dice * 1664525 + 1013904223;
  return (dice >> 8) % n;
}

struct sent {
  int64_t at_ms;
  uint64_t number;
  int frame;
};

static int by_time(const void *a, const void *b) {
  const struct sent *one = a, *other = b;
  if (one->at_ms != other->at_ms) return one->at_ms < other->at_ms ? -1 : 1;
  return one->frame - other->frame;
}

/* Runs of one to ten frames of nothing, sound of three frames or more between them. */
static void make_sound(void) {
  memset(sound, 0, sizeof sound);
  mix_noise(sound, 0, SAMPLES, 0.1, dice);
  for (int f = QUIET_HEAD; f < FRAMES - 20; f += 3 + (int)below(60)) {
    int run = 1 + (int)below(10);
    memset(sound + f * 160, 0, (size_t)run * 160 * sizeof *sound);
    f += run;
  }
}

/* Up to 7 % lost, 7 % up to 160 ms late, stalls of up to 1.6 s, and in every other round leaps of the numbers. */
static size_t make_frames(struct sent *sent, bool leaps) {
  uint32_t lost = below(8), late = below(8), stalls = below(4);
  uint64_t number = 0;
  int64_t stalled_until_ms = 0;
  size_t count = 0;
  for (int f = 0; f < FRAMES; f++) {
    number += f > QUIET_HEAD && leaps && below(300) == 0 ? 100000 : 1;
    bool spared = f <= QUIET_HEAD;
    if (!spared && below(100) < lost) continue;
    int64_t at_ms = f * 20;
    if (!spared && below(500) < stalls) stalled_until_ms = at_ms + 100 + below(1500);
    if (at_ms < stalled_until_ms) at_ms = stalled_until_ms;
    if (!spared && below(100) < late) at_ms += 1 + 20 * (1 + (int64_t)below(8));
    sent[count++] = (struct sent){at_ms, number, f};
  }
  qsort(sent, count, sizeof *sent, by_time);
  return count;
}

static struct part *play(const struct sent *sent, size_t count) {
  struct rig r;
  uint8_t payload[160];
  rig_begin_with(&r, &(const struct stream_options){.consumer = CONSUMER_ASR_STREAM});
  start(&r, 0, "PCMU", 8000);
  for (size_t i = 0; i < count; i++) {
    const struct sent *s = &sent[i];
    codec_row(CODEC_PCMU)->encode(sound + s->frame * 160, 160, payload, sizeof payload);
    send_bytes(&r, s->at_ms, 0, s->number, (uint64_t)s->frame * 20, payload, sizeof payload, AS_TEXT);
  }
  return finish(&r, sent[count - 1].at_ms + 20);
}

static void what_is_heard_is_booked(void **state) {
  (void)state;
  static struct sent sent[FRAMES];
  for (uint32_t round = 0, seed = (uint32_t)seed_value; round < ROUNDS; round++, seed++) {
    dice = seed * 7919;
    make_sound();
    struct part *part = play(sent, make_frames(sent, round % 2));
    const struct delivery_facts *f = delivery_of(part, 0);
    uint64_t heard = part->track[0].signal->inserted_silence_frames;
    uint64_t missing = f->expected_frames - f->received_frames;
    if (heard < 20) fail_msg("seed %u: hardly any silence", seed);
    /* A run that is not over when the numbers begin anew has been settled as good. */
    uint64_t booked = f->inserted_silence_frames, most_less = 10 * f->restarts;
    if (booked > heard || booked + most_less < heard)
      fail_msg("seed %u: %d of %d frames booked, %d restarts", seed, (int)booked, (int)heard,
               (int)f->restarts);
    if (f->bad_frames[CONSUMER_ASR_STREAM] < missing + booked)
      fail_msg("seed %u: %d bad, %d missing", seed, (int)f->bad_frames[CONSUMER_ASR_STREAM], (int)missing);
    part_free(part);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test_setup(what_is_heard_is_booked, seed_start)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
