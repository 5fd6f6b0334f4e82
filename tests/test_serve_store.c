/* agent/serve_store.c, serve_facts.c: what a full queue has refused is offered again, each fact once a tick; what
 * could not be read is not taken for nothing. */
#include "tests/store_helpers.h"

#include "agent/serve.h"

enum { EVENTS = 3, TOO_LONG_S = 60 };

static void refused_facts_are_offered_once_a_tick(void **state) {
  struct bench *b = *state;
  struct serve *s = calloc(1, sizeof *s);
  assert_non_null(s);
  assert_int_equal(bench_open_with(b, 1), 0); /* room for one request */
  s->store = b->store;
  struct engine_effects effects = serve_store_effects(s);

  bench_hold(b); /* nothing can be taken meanwhile */
  json_t *element = json_pack("{s:s}", "eventType", "sidetone.leg_lost");
  for (int i = 0; i < EVENTS; i++) {
    char id[24];
    snprintf(id, sizeof id, "event-%d", i);
    effects.put_event(effects.arg, "leg", id, 1, element);
  }
  json_decref(element);
  assert_false(serve_store_idle(s));
  uint64_t offered = s->last_ticket; /* one an offer */
  alarm(TOO_LONG_S);
  serve_store_again(s);
  alarm(0);
  assert_int_equal(s->last_ticket - offered, EVENTS - 1);
  bench_release(b);
  while (!serve_store_idle(s)) {
    sem_wait(&b->woken);
    serve_store_answers(s);
    serve_store_again(s);
  }
  struct store_stats stats;
  store_stats(s->store, &stats);
  assert_int_equal(stats.rows, EVENTS);
  free(s);
  store_close(b->store);
  b->store = NULL;
}

/* Else its next webhook would be folded alone: only of a leg that is not known are the facts asked for. */
static void a_leg_that_could_not_be_read_stays_unknown(void **state) {
  (void)state;
  const struct moment at = {.mono_us = 1, .wall_us = 1};
  const struct store_answer failed = {.status = STORE_FAILED, .error = "database is locked"}, none = {0};
  struct serve *s = calloc(1, sizeof *s);
  assert_non_null(s);
  const struct engine_options options = {
      .agent_id = "agent", .stream_token = "", .fold = {.agent_id = "agent"}};
  s->engine = engine_create(&options, &(struct engine_effects){.put_event = NULL}, &s->metrics);
  serve_give_facts(s, &at, "leg", &failed, NULL, true);
  assert_false(engine_knows(s->engine, "leg"));
  serve_give_facts(s, &at, "leg", &none, NULL, true);
  assert_true(engine_knows(s->engine, "leg"));
  engine_free(s->engine);
  free(s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(refused_facts_are_offered_once_a_tick, bench_setup, bench_teardown),
      cmocka_unit_test(a_leg_that_could_not_be_read_stays_unknown)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
