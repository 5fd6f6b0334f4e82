/* agent/hold.c: frames that wait, against a list that is written down the plain way. */
#include "agent/hold.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { PAYLOAD_MAX = 64 * 1024 };

static uint8_t payload[PAYLOAD_MAX];

/* A frame that can be told apart by its chunk; its payload is filled with the chunk's low byte. */
static struct hold_frame frame(int track, uint64_t chunk, int64_t arrival_us, size_t bytes) {
  memset(payload, (int)(chunk & 0xff), bytes);
  return (struct hold_frame){
      .track = track,
      .event = {.has_chunk = true, .chunk = chunk, .payload_bytes = (uint32_t)bytes},
      .arrival_us = arrival_us,
      .read_ordinal = chunk * 3,
      .self_delayed = chunk % 5 == 0,
  };
}

static bool put(struct hold *h, int track, uint64_t chunk, int64_t arrival_us, size_t bytes) {
  struct hold_frame f = frame(track, chunk, arrival_us, bytes);
  return hold_put(h, &f, payload);
}

static void expect_frame(struct hold *h, size_t index, int track, uint64_t chunk, size_t bytes) {
  const struct hold_frame *f = hold_at(h, index);
  assert_non_null(f);
  assert_int_equal(f->track, track);
  assert_int_equal(f->event.chunk, chunk);
  assert_int_equal(f->event.payload_bytes, bytes);
  assert_int_equal(f->read_ordinal, chunk * 3);
  assert_int_equal(f->self_delayed, chunk % 5 == 0);
  const uint8_t *kept = hold_payload(h, f);
  for (size_t i = 0; i < bytes; i++) assert_int_equal(kept[i], chunk & 0xff);
}

static void frames_come_out_in_order_of_arrival(void **state) {
  (void)state;
  struct hold h;
  assert_true(hold_create(&h));
  assert_null(hold_at(&h, 0));
  for (uint64_t i = 0; i < 10; i++) assert_true(put(&h, (int)(i % 2), i, (int64_t)i * 1000, 100 + i));
  for (uint64_t i = 0; i < 10; i++) expect_frame(&h, i, (int)(i % 2), i, 100 + i);
  assert_null(hold_at(&h, 10));
  assert_int_equal(hold_count(&h, 0), 5);
  assert_int_equal(hold_count(&h, 1), 5);
  hold_free(&h);
}

static void there_is_room_for_so_many_frames_and_bytes(void **state) {
  (void)state;
  struct hold h;
  assert_true(hold_create(&h));
  for (uint64_t i = 0; i < HOLD_FRAMES; i++) assert_true(put(&h, 0, i, 0, 1));
  assert_false(put(&h, 0, HOLD_FRAMES, 0, 1));
  expect_frame(&h, HOLD_FRAMES - 1, 0, HOLD_FRAMES - 1, 1);
  assert_int_equal(hold_clear(&h), HOLD_FRAMES);
  assert_true(put(&h, 0, 7, 0, HOLD_BYTES / 2));
  assert_true(put(&h, 0, 8, 0, HOLD_BYTES / 2 - 1));
  assert_false(put(&h, 0, 9, 0, 2));
  assert_true(put(&h, 0, 10, 0, 1));
  expect_frame(&h, 0, 0, 7, HOLD_BYTES / 2);
  expect_frame(&h, 1, 0, 8, HOLD_BYTES / 2 - 1);
  hold_free(&h);
}

/* Contract 3: 2 s a track before `start`, whatever frames of 10 ms or longer and a rate up to 16 kHz. */
static void two_seconds_of_both_tracks_fit(void **state) {
  (void)state;
  static const struct {
    int frame_ms;
    size_t bytes;
  } kinds[] = {{10, 80}, {20, 160}, {20, 320}, {20, 640}, {30, 240}};
  for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
    struct hold h;
    assert_true(hold_create(&h));
    for (int at_ms = 0; at_ms < 2000; at_ms += kinds[k].frame_ms)
      for (int track = 0; track < 2; track++)
        if (!put(&h, track, (uint64_t)at_ms, at_ms * 1000, kinds[k].bytes))
          fail_msg("%d ms frames of %zu bytes: full at %d ms", kinds[k].frame_ms, kinds[k].bytes, at_ms);
    hold_free(&h);
  }
}

static void the_oldest_goes_first(void **state) {
  (void)state;
  struct hold h;
  assert_true(hold_create(&h));
  assert_false(hold_drop_oldest(&h));
  for (uint64_t i = 0; i < 4; i++) put(&h, 0, i, (int64_t)i, 10);
  assert_true(hold_drop_oldest(&h));
  expect_frame(&h, 0, 0, 1, 10);
  expect_frame(&h, 2, 0, 3, 10);
  assert_null(hold_at(&h, 3));
  assert_int_equal(h.used_bytes, 30);
  hold_free(&h);
}

static void old_frames_of_one_track_go(void **state) {
  (void)state;
  struct hold h;
  assert_true(hold_create(&h));
  for (uint64_t i = 0; i < 6; i++) put(&h, (int)(i % 2), i, (int64_t)i * 100, 10 + i);
  assert_int_equal(hold_drop_before(&h, 0, 200), 1); /* at 0; the one at 200 is not before 200 */
  assert_int_equal(hold_drop_before(&h, 0, 200), 0);
  expect_frame(&h, 0, 1, 1, 11);
  expect_frame(&h, 1, 0, 2, 12);
  expect_frame(&h, 4, 1, 5, 15);
  assert_int_equal(hold_drop_before(&h, 1, 1000), 3);
  expect_frame(&h, 0, 0, 2, 12);
  expect_frame(&h, 1, 0, 4, 14);
  assert_int_equal(hold_clear(&h), 2);
  assert_int_equal(hold_clear(&h), 0);
  assert_int_equal(h.used_bytes, 0);
  hold_free(&h);
}

/* ---- against a plain list ---- */

struct plain {
  struct {
    int track;
    uint64_t chunk;
    int64_t arrival_us;
    size_t bytes;
  } row[HOLD_FRAMES];
  size_t count, bytes;
};

static void plain_remove(struct plain *p, size_t index) {
  p->bytes -= p->row[index].bytes;
  memmove(&p->row[index], &p->row[index + 1], (p->count - index - 1) * sizeof *p->row);
  p->count--;
}

static size_t plain_put(struct plain *p, int track, uint64_t chunk, int64_t now_us, size_t bytes) {
  if (p->count == HOLD_FRAMES || p->bytes + bytes > HOLD_BYTES) return 0;
  p->row[p->count].track = track;
  p->row[p->count].chunk = chunk;
  p->row[p->count].arrival_us = now_us;
  p->row[p->count++].bytes = bytes;
  p->bytes += bytes;
  return 1;
}

static uint64_t plain_drop_before(struct plain *p, int track, int64_t before_us) {
  uint64_t dropped = 0;
  for (size_t i = p->count; i-- > 0;) {
    if (p->row[i].track != track || p->row[i].arrival_us >= before_us) continue;
    plain_remove(p, i);
    dropped++;
  }
  return dropped;
}

/* Some are done, as after a decision; they count no longer and go. */
static void do_some(struct hold *h, struct plain *p) {
  unsigned mask = (unsigned)rand();
  size_t per_track[2] = {0, 0};
  for (size_t i = p->count; i-- > 0;) {
    if (mask >> (i % 16) & 1) {
      hold_at(h, i)->done = true;
      plain_remove(p, i);
    }
  }
  for (size_t i = 0; i < p->count; i++) per_track[p->row[i].track]++;
  assert_int_equal(hold_count(h, 0), per_track[0]);
  assert_int_equal(hold_count(h, 1), per_track[1]);
  hold_compact(h);
}

static void any_order_of_use_keeps_frames_and_payloads(void **state) {
  (void)state;
  unsigned seed = (unsigned)time(NULL);
  print_message("seed %u\n", seed);
  srand(seed);
  struct hold h;
  struct plain *p = calloc(1, sizeof *p);
  assert_true(hold_create(&h));
  for (uint64_t step = 0; step < 20000; step++) {
    int track = rand() % 2;
    size_t bytes = rand() % 50 ? 1 + (size_t)rand() % 400 : (size_t)rand() % PAYLOAD_MAX;
    int64_t now_us = (int64_t)step * 10;
    switch (rand() % 400) {
      case 0:
        do_some(&h, p);
        break;
      case 1:
      case 2:
        assert_int_equal(hold_drop_before(&h, track, now_us - 500),
                         plain_drop_before(p, track, now_us - 500));
        break;
      case 3:
        assert_int_equal(hold_clear(&h), p->count);
        memset(p, 0, sizeof *p);
        break;
      case 4:
      case 5:
        assert_int_equal(hold_drop_oldest(&h), p->count > 0);
        if (p->count > 0) plain_remove(p, 0);
        break;
      default:
        assert_int_equal(put(&h, track, step, now_us, bytes), plain_put(p, track, step, now_us, bytes));
    }
    assert_int_equal(h.count, p->count);
    assert_int_equal(h.used_bytes, p->bytes);
    size_t look = p->count > 0 ? (size_t)rand() % p->count : 0;
    if (p->count > 0) expect_frame(&h, look, p->row[look].track, p->row[look].chunk, p->row[look].bytes);
  }
  for (size_t i = 0; i < p->count; i++)
    expect_frame(&h, i, p->row[i].track, p->row[i].chunk, p->row[i].bytes);
  hold_free(&h);
  free(p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(frames_come_out_in_order_of_arrival),
      cmocka_unit_test(there_is_room_for_so_many_frames_and_bytes),
      cmocka_unit_test(two_seconds_of_both_tracks_fit),
      cmocka_unit_test(the_oldest_goes_first),
      cmocka_unit_test(old_frames_of_one_track_go),
      cmocka_unit_test(any_order_of_use_keeps_frames_and_payloads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
