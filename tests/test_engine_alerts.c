/* Alerts of live calls, from the frames and closes that cause them to their end. */
#include "tests/engine_helpers.h"

/* The alerts so far: "rule state severity at_s; ...". */
static const char *alerts(struct world *w) {
  static char text[2048];
  text[0] = '\0';
  for (size_t i = 0; i < w->effects; i++) {
    if (w->effect[i].kind != PUT_ALERT) continue;
    size_t length = strlen(text);
    snprintf(text + length, sizeof text - length, "%s%s %lld", length > 0 ? "; " : "", w->effect[i].text,
             (long long)(w->effect[i].at_us - mono_zero_us) / 1000000);
  }
  return text;
}

static struct world *call_over(const char *answered) {
  struct world *w = world_new("", true);
  hook(w, LEG, "call.initiated", 0, "");
  hook(w, LEG, "call.answered", 0, answered);
  open_socket(w, 1, 0);
  start_frame(w, 1, 0, LEG, "PCMU");
  return w;
}

static struct world *call_with_stream(void) {
  return call_over("");
}

static void a_stall_gets_worse_and_ends(void **state) {
  (void)state;
  struct world *w = call_with_stream();
  ticks_until(w, 3000); /* no frame has come yet: no stall */
  media_between(w, 1, 3000, 5000, 1);
  ticks_until(w, 9000);
  media_between(w, 1, 9000, 12000, 101); /* the look at 10 s still sees the gap that ended at 9 s */
  assert_string_equal(alerts(w), "stall opened medium 6; stall opened high 8; stall closed high 11");
  assert_int_equal(w->metrics.alerts[ALERT_STALL], 2);
  world_free(w);
}

/* The tick must not have to fall into the gap. */
static void a_stall_between_two_ticks_is_seen(void **state) {
  (void)state;
  struct world *w = call_with_stream();
  media_between(w, 1, 0, 1100, 1);
  for (int i = 0; i < 20; i++) media_frame(w, 1, 2600 + i * 20, 0, 56 + i); /* 1.5 s later */
  engine_tick(w->e, moment_ms(w, 3000));
  assert_string_equal(alerts(w), "stall opened medium 3");
  world_free(w);
}

static void lost_frames_lower_r(void **state) {
  (void)state;
  struct world *w = call_with_stream();
  int number = 1;
  for (int64_t ms = 0; ms < 60000; ms += 20, number++) {
    bool bad = ms >= 10000 && ms < 30000;
    if (ms % 1000 == 0) engine_tick(w->e, moment_ms(w, ms));
    if (!bad || number % 5 != 0) media_frame(w, 1, ms, 0, number); /* 20 % lost */
  }
  assert_string_equal(alerts(w), "quality opened high 22; quality closed high 42");
  assert_int_equal(w->metrics.alerts[ALERT_QUALITY], 1);
  world_free(w);
}

/* 1 % of loss: R 75 to who hears G.711, 55 through a leg that is GSM. */
static void the_legs_codec_lowers_r(void **state) {
  (void)state;
  for (int gsm = 0; gsm < 2; gsm++) {
    struct world *w = call_over(gsm ? ", 'codec': 'GSM'" : ", 'codec': 'PCMU'");
    for (int i = 0; i < 1500; i++) {
      if (i % 50 == 0) engine_tick(w->e, moment_ms(w, i * 20));
      if (i % 100 != 50) media_frame(w, 1, i * 20, 0, i + 1);
    }
    assert_string_equal(alerts(w), gsm ? "quality opened high 12" : "");
    world_free(w);
  }
}

static void a_socket_that_breaks_off_is_an_outage(void **state) {
  (void)state;
  struct world *w = call_with_stream();
  media_between(w, 1, 0, 2000, 1);
  close_by_peer(w, 1, 2000);
  ticks_until(w, 8000);
  open_socket(w, 2, 8000);
  start_frame(w, 2, 8100, LEG, "PCMU");
  ticks_until(w, 10000);
  assert_string_equal(alerts(w), "stream_outage opened critical 5; stream_outage closed critical 9");
  world_free(w);
}

static void a_stop_or_a_hangup_is_none(void **state) {
  (void)state;
  struct world *w = call_with_stream();
  media_between(w, 1, 0, 2000, 1);
  message(w, 1, 2000,
          "{'event':'stop','sequence_number':'200','stream_id':'s','stop':{'call_control_id':'x'}}");
  close_by_peer(w, 1, 2000);
  ticks_until(w, 8000);
  assert_string_equal(alerts(w), "");
  open_socket(w, 2, 8000);
  start_frame(w, 2, 8000, LEG, "PCMU");
  close_by_peer(w, 2, 9000);
  hook_late(w, LEG, "call.hangup", 9000, 10500, ""); /* a moment after the close of the socket */
  ticks_until(w, 15000);
  assert_string_equal(alerts(w), "");
  world_free(w);
}

static void the_end_closes_them(void **state) {
  (void)state;
  struct world *w = call_with_stream();
  media_between(w, 1, 0, 2000, 1);
  ticks_until(w, 4000);
  hook(w, LEG, "call.hangup", 4500, "");
  ticks_until(w, 6000);
  assert_string_equal(alerts(w), "stall opened medium 3; stall closed medium 5");
  world_free(w);
}

static void so_does_the_end_of_the_agent(void **state) {
  (void)state;
  struct world *w = call_with_stream();
  media_between(w, 1, 0, 2000, 1);
  ticks_until(w, 4000);
  engine_shutdown(w->e, moment_ms(w, 4500));
  assert_string_equal(alerts(w), "stall opened medium 3; stall closed medium 4");
  world_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_stall_gets_worse_and_ends),
      cmocka_unit_test(a_stall_between_two_ticks_is_seen),
      cmocka_unit_test(lost_frames_lower_r),
      cmocka_unit_test(the_legs_codec_lowers_r),
      cmocka_unit_test(a_socket_that_breaks_off_is_an_outage),
      cmocka_unit_test(a_stop_or_a_hangup_is_none),
      cmocka_unit_test(the_end_closes_them),
      cmocka_unit_test(so_does_the_end_of_the_agent),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
