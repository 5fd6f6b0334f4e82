/* One stream, packet by packet: numbers of what is no sound, clocks that change, digits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "agent/capture_stream.h"
#include "dsp/delivery_facts.h"

enum { EVENT_TYPE = 101, STEP = 160 };

/* Sends in order, 20 ms a packet, whatever of it then arrives. */
struct sender {
  struct capture_names *names;
  struct capture_stream *stream;
  int64_t now_ns;
  uint16_t sequence;
  uint32_t timestamp;
  bool begun;
};

static struct delivery_facts facts;

static struct sender new_sender(void) {
  static const struct capture_key key = {.ssrc = 1};
  char why[128];
  struct sender s = {
      .names = capture_names_new(), .now_ns = 5000000000, .sequence = 65530, .timestamp = UINT32_MAX - 800};
  assert_true(capture_names_option(s.names, "101=telephone-event/8000", why, sizeof why));
  assert_true(capture_names_option(s.names, "96=L16/16000", why, sizeof why));
  assert_true(capture_names_option(s.names, "97=AMR-WB/16000", why, sizeof why));
  s.stream = capture_stream_new(&key, s.names);
  return s;
}

static void end(struct sender *s) {
  capture_stream_free(s->stream);
  capture_names_free(s->names);
}

static struct capture_rtp packet(const struct sender *s, uint8_t type) {
  return (struct capture_rtp){
      .wall_ns = s->now_ns, .timestamp = s->timestamp, .sequence = s->sequence, .payload_type = type};
}

static void arrive(struct sender *s, struct capture_rtp p) {
  if (s->begun) {
    capture_stream_take(s->stream, &p, 0);
  } else {
    capture_stream_begin(s->stream, &p, 1, 0);
  }
  s->begun = true;
}

static void step(struct sender *s, uint32_t ticks) {
  s->sequence++;
  s->timestamp += ticks;
  s->now_ns += 20000000;
}

static void sound(struct sender *s, int count) {
  for (int i = 0; i < count; i++) {
    arrive(s, packet(s, 0));
    step(s, STEP);
  }
}

static struct capture_rtp event(const struct sender *s, uint8_t digit, uint16_t duration, bool last) {
  struct capture_rtp p = packet(s, EVENT_TYPE);
  p.head_bytes = 4;
  p.payload_bytes = 4;
  p.head[0] = digit;
  p.head[1] = last ? 0x8a : 10;
  p.head[2] = (uint8_t)(duration >> 8);
  p.head[3] = (uint8_t)duration;
  return p;
}

/* An event of `count` packets; its timestamp stands still. */
static void press(struct sender *s, uint8_t digit, int count) {
  for (int i = 0; i < count; i++) {
    arrive(s, event(s, digit, (uint16_t)((i + 1) * STEP), i == count - 1));
    step(s, 0);
  }
  s->timestamp += (uint32_t)count * STEP;
}

static const struct delivery_facts *look(const struct sender *s) {
  delivery_facts(s->stream->delivery, &facts);
  return &facts;
}

/* Numbers and timestamps pass their ends, events come between, and nothing is missing. */
static void events_are_no_frames(void **state) {
  (void)state;
  struct sender s = new_sender();
  sound(&s, 100);
  for (int i = 0; i < 40; i++) { /* more than are remembered one by one */
    press(&s, 5, 7);
    sound(&s, 10);
  }
  const struct delivery_facts *f = look(&s);
  assert_int_equal(s.stream->packets, 100 + 40 * 17);
  assert_int_equal(f->expected_frames, 500);
  assert_int_equal(f->received_frames, 500);
  assert_int_equal(f->duplicate_frames, 0);
  assert_int_equal(f->clock_jumps, 0);
  assert_int_equal(f->media_pause_us, 40 * 7 * 20000);
  assert_true(f->jitter_max_ms == 0);
  assert_int_equal(s.stream->digits.count, 40);
  assert_int_equal(s.stream->digits.digit[0].start_us, 2000000);
  end(&s);
}

static void a_lost_event_packet_is_missing(void **state) {
  (void)state;
  struct sender s = new_sender();
  sound(&s, 50);
  press(&s, 1, 2);
  step(&s, 0); /* the third never came */
  press(&s, 1, 3);
  sound(&s, 50);
  assert_int_equal(look(&s)->expected_frames, 101);
  assert_int_equal(look(&s)->received_frames, 100);
  end(&s);
}

/* An event's packet behind sound that should have followed it. */
static void an_event_that_comes_late(void **state) {
  (void)state;
  struct sender s = new_sender();
  sound(&s, 50);
  struct capture_rtp late = event(&s, 3, 160, true);
  step(&s, STEP);
  sound(&s, 2);
  late.wall_ns = s.now_ns - 1000000;
  arrive(&s, late);
  arrive(&s, late); /* and once more */
  sound(&s, 50);
  const struct delivery_facts *f = look(&s);
  assert_int_equal(f->expected_frames, f->received_frames);
  assert_int_equal(f->reordered_frames, 1);
  assert_int_equal(f->clock_jumps, 0);
  assert_int_equal(s.stream->digits.count, 1);
  end(&s);
}

static void the_same_event_packet_twice(void **state) {
  (void)state;
  struct sender s = new_sender();
  sound(&s, 50);
  for (int i = 0; i < 3; i++) arrive(&s, event(&s, 3, 160, true));
  step(&s, STEP);
  sound(&s, 50);
  assert_int_equal(look(&s)->expected_frames, 100);
  assert_int_equal(look(&s)->received_frames, 100);
  assert_int_equal(look(&s)->duplicate_frames, 0);
  end(&s);
}

static void sound_that_overtakes_nothing(void **state) {
  (void)state;
  struct sender s = new_sender();
  sound(&s, 50);
  struct capture_rtp late = packet(&s, 0);
  step(&s, STEP);
  press(&s, 3, 2); /* sound that belongs before them comes behind */
  late.wall_ns = s.now_ns;
  arrive(&s, late);
  sound(&s, 50);
  assert_int_equal(look(&s)->expected_frames, 101);
  assert_int_equal(look(&s)->received_frames, 101);
  end(&s);
}

static void a_restart_after_events(void **state) {
  (void)state;
  struct sender s = new_sender();
  sound(&s, 50);
  press(&s, 3, 20);
  sound(&s, 50);
  s.sequence = (uint16_t)(s.sequence - 200); /* counts again over the numbers of the events */
  s.timestamp = 77;
  sound(&s, 400);
  const struct delivery_facts *f = look(&s);
  assert_int_equal(f->restarts, 1);
  assert_int_equal(f->expected_frames, 500);
  assert_int_equal(f->received_frames, 500);
  assert_int_equal(f->duplicate_frames, 0);
  end(&s);
}

/* Another codec with another clock on the same SSRC: a new format, no restart of the sender. */
static void another_clock(void **state) {
  (void)state;
  struct sender s = new_sender();
  sound(&s, 100);
  for (int i = 0; i < 100; i++) {
    arrive(&s, packet(&s, 96));
    step(&s, 2 * STEP);
  }
  const struct delivery_facts *f = look(&s);
  assert_int_equal(s.stream->begun->codec->id, CODEC_L16_16K);
  assert_int_equal(f->restarts - s.stream->format_changes, 0);
  assert_int_equal(f->received_frames, 200);
  assert_int_equal(f->expected_frames, 200);
  assert_int_equal(f->clock_jumps, 0);
  assert_true(f->jitter_max_ms == 0);
  end(&s);
}

/* At the change of a codec the last packet of the old one is overtaken: it is late, and no change back. */
static void another_codec_and_a_late_packet(void **state) {
  (void)state;
  struct sender s = new_sender();
  sound(&s, 100);
  struct capture_rtp late = packet(&s, 0);
  step(&s, STEP);
  for (int i = 0; i < 100; i++) {
    arrive(&s, packet(&s, 8));
    step(&s, STEP);
    if (i == 2) {
      late.wall_ns = s.now_ns;
      arrive(&s, late);
    }
  }
  assert_int_equal(s.stream->format_changes, 1);
  assert_int_equal(s.stream->begun->codec->id, CODEC_PCMA);
  assert_int_equal(look(&s)->received_frames, 201);
  assert_int_equal(look(&s)->expected_frames, 201);
  end(&s);
}

/* Digits that nobody names come before any sound. */
static void unnamed_at_first(void **state) {
  (void)state;
  struct sender s = new_sender();
  for (int i = 0; i < 30; i++) {
    arrive(&s, packet(&s, 110));
    step(&s, 7);
  }
  assert_int_equal(s.stream->begun->kind, CAPTURE_UNNAMED);
  assert_int_equal(look(&s)->received_frames, 30);
  sound(&s, 100);
  arrive(&s, packet(&s, 110));
  step(&s, STEP);
  sound(&s, 100);
  assert_int_equal(s.stream->begun->codec->id, CODEC_PCMU);
  assert_int_equal(s.stream->packets, 231);
  assert_int_equal(look(&s)->received_frames, 200);
  assert_int_equal(look(&s)->expected_frames, 200);
  assert_int_equal(look(&s)->restarts, 0);
  assert_true(look(&s)->jitter_max_ms == 0);
  end(&s);
}

static void time_that_runs_backwards(void **state) {
  (void)state;
  struct sender s = new_sender();
  sound(&s, 50);
  s.now_ns -= 3000000000;
  sound(&s, 50);
  assert_int_equal(look(&s)->received_frames, 100);
  end(&s);
}

static void digits_end(void **state) {
  (void)state;
  struct sender s = new_sender();
  sound(&s, 10);
  for (int i = 0; i < CAPTURE_DIGITS_MAX + 10; i++) press(&s, (uint8_t)(i % 16), 1);
  press(&s, 16, 1); /* flash is no digit */
  assert_int_equal(s.stream->digits.count, CAPTURE_DIGITS_MAX);
  assert_string_equal(s.stream->digits.digit[15].digit, "D");
  end(&s);
}

/* Captured with one byte of each payload, and with two: the second has the end of the mode, and whether it is good. */
static void heads_that_are_cut(void **state) {
  (void)state;
  for (uint8_t bytes = 1; bytes <= 2; bytes++) {
    struct sender s = new_sender();
    for (int i = 0; i < 100; i++) {
      struct capture_rtp p = packet(&s, 97);
      p.payload_bytes = 61; /* 23.85 kbit/s, packed tightly */
      p.head_bytes = bytes;
      p.head[0] = 0xf4;
      p.head[1] = bytes > 1 ? 0x40 : 0;
      arrive(&s, p);
      step(&s, 2 * STEP);
    }
    const struct delivery_facts *f = look(&s);
    assert_int_equal(f->received_frames, 100);
    assert_int_equal(f->upstream_bad_frames, 0);
    assert_int_equal(f->active_us, bytes > 1 ? 2000000 : 0);
    end(&s);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(events_are_no_frames),
      cmocka_unit_test(a_lost_event_packet_is_missing),
      cmocka_unit_test(an_event_that_comes_late),
      cmocka_unit_test(the_same_event_packet_twice),
      cmocka_unit_test(sound_that_overtakes_nothing),
      cmocka_unit_test(a_restart_after_events),
      cmocka_unit_test(another_clock),
      cmocka_unit_test(another_codec_and_a_late_packet),
      cmocka_unit_test(unnamed_at_first),
      cmocka_unit_test(time_that_runs_backwards),
      cmocka_unit_test(digits_end),
      cmocka_unit_test(heads_that_are_cut),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
