/* Whatever happens to the bytes of the store's files: never a crash, never a wrong document handed out as right,
 * and each damage is quarantined, set aside or harmless (contract.md 8). Seeds are printed; SEED repeats one,
 * ROUNDS makes it longer. */
#include "tests/damage_helpers.h"

#include <time.h>

static uint64_t random_state;

static uint64_t random_below(uint64_t bound) {
  random_state = random_state * 6364136223846793005u + 1442695040888963407u;
  return (random_state >> 33) % bound;
}

static int rounds(int usual) {
  const char *wanted = getenv("ROUNDS");
  return wanted != NULL ? atoi(wanted) : usual;
}

static void choose_seed(void) {
  const char *wanted = getenv("SEED");
  random_state = wanted != NULL ? strtoull(wanted, NULL, 10) : (uint64_t)time(NULL);
  print_message("SEED=%llu\n", (unsigned long long)random_state);
}

static void second_bench(void **place) {
  assert_int_equal(bench_setup(place), 0);
}

/* ---- the torn tail of the log ---- */

/* A cut, and junk over the last bytes before it: what a power cut leaves of a write that was under way. */
static off_t tear(const char *directory, off_t bytes) {
  off_t cut = (off_t)random_below((uint64_t)bytes) + 1, whole = cut;
  cut_file(directory, "sidetone.db-wal", cut);
  if (random_below(2) == 0) return whole;
  unsigned char junk[4120];
  size_t count = random_below(sizeof junk) + 1;
  if ((off_t)count > cut) count = (size_t)cut;
  for (size_t i = 0; i < count; i++) junk[i] = (unsigned char)random_below(256);
  whole = cut - (off_t)count;
  write_bytes(directory, "sidetone.db-wal", whole, junk, count);
  return whole;
}

static void a_torn_tail_takes_only_what_stands_in_it(void **state) {
  struct bench *b = *state, *torn = NULL;
  void *place = &torn;
  off_t acknowledged[LEGS][FACTS_PER_LEG], bytes;
  second_bench(place);
  choose_seed();
  bench_open(b);
  for (int leg = 0; leg < LEGS; leg++)
    for (int i = 0; i < FACTS_PER_LEG; i++) {
      put_fact(b, leg, i);
      acknowledged[leg][i] = file_bytes(b->directory, "sidetone.db-wal");
    }
  bytes = file_bytes(b->directory, "sidetone.db-wal");
  assert_true(bytes > 100 * 4096);
  for (int round = 0; round < rounds(150); round++) {
    copy_image(b->directory, torn->directory);
    off_t whole = tear(torn->directory, bytes);
    bench_open(torn);
    for (int leg = 0; leg < LEGS; leg++) {
      char name[32];
      int least = 0;
      leg_name(leg, name);
      for (int i = 0; i < FACTS_PER_LEG; i++) least += acknowledged[leg][i] <= whole;
      int there = facts_of(torn, name);
      if (there < least || there > FACTS_PER_LEG)
        fail_msg("round %d, whole to %lld of %lld: %d of %d facts of %s", round, (long long)whole,
                 (long long)bytes, there, least, name);
    }
    assert_int_equal(bench_ask(torn, an_event("new", "new", "x"))->status, STORE_DONE);
    shut(torn);
  }
  assert_int_equal(bench_teardown(place), 0);
}

/* SQLite would drop every commit behind the flip. */
static void a_flipped_byte_in_the_middle_of_the_log(void **state) {
  struct bench *b = *state, *copy = NULL;
  void *place = &copy;
  second_bench(place);
  choose_seed();
  bench_open(b);
  enum { IN_THE_LOG = 14 }; /* legs: with more it is checkpointed, and begins again */
  for (int leg = 0; leg < IN_THE_LOG; leg++) put_leg(b, leg);
  off_t bytes = file_bytes(b->directory, "sidetone.db-wal");
  for (int round = 0; round < rounds(60); round++) {
    copy_image(b->directory, copy->directory);
    off_t at =
        round < 32 ? round : (off_t)random_below((uint64_t)bytes * 9 / 10); /* the head's bytes first */
    int facts = 0, documents = 0;
    flip_byte(copy->directory, "sidetone.db-wal", at, (unsigned char)(1u << random_below(8)));
    bench_open(copy);
    struct store_stats stats;
    store_stats(copy->store, &stats);
    for (int leg = 0; leg < IN_THE_LOG; leg++) {
      char name[32];
      leg_name(leg, name);
      facts += facts_of(copy, name);
    }
    calllogs_of(copy, &documents);
    /* One page at most is lost, and most of its rows stand in others too. */
    if (facts < IN_THE_LOG * FACTS_PER_LEG - 20 || documents < IN_THE_LOG - 8)
      fail_msg("flip at %lld: %d facts, %d documents; set aside: %llu", (long long)at, facts, documents,
               (unsigned long long)stats.set_aside);
    if (stats.set_aside != 1) fail_msg("flip at %lld: not set aside", (long long)at);
    shut(copy);
  }
  assert_int_equal(bench_teardown(place), 0);
}

/* ---- anything, anywhere ---- */

struct losses {
  int facts, documents, quarantined, set_aside, refused;
  int by_flips; /* of `facts` */
};

/* False: more than single bytes. */
static bool do_damage(const char *directory, off_t bytes) {
  unsigned char junk[512];
  off_t at = (off_t)random_below((uint64_t)bytes);
  switch (random_below(8)) {
    case 0: /* a sector of something else */
      at -= at % 512;
      for (size_t i = 0; i < sizeof junk; i++) junk[i] = (unsigned char)random_below(256);
      write_bytes(directory, "sidetone.db", at, junk, sizeof junk);
      return false;
    case 1: /* a sector of nothing */
      at -= at % 512;
      memset(junk, 0, sizeof junk);
      write_bytes(directory, "sidetone.db", at, junk, sizeof junk);
      return false;
    case 2:
      cut_file(directory, "sidetone.db", at);
      return false;
    default:
      for (uint64_t flips = random_below(4) + 1; flips > 0; flips--) {
        flip_byte(directory, "sidetone.db", at, (unsigned char)(1u << random_below(8)));
        at = (off_t)random_below((uint64_t)bytes);
        if (random_below(3) == 0) at -= at % 4096 - (off_t)random_below(16); /* a page's head */
      }
      return true;
  }
}

static void read_everything(struct bench *b, struct losses *l) {
  struct store_stats stats;
  char value[32] = "";
  int facts = 0, documents = 0;
  for (int leg = 0; leg < LEGS; leg++) {
    char name[32];
    leg_name(leg, name);
    facts += facts_of(b, name);
  }
  if (store_get_value(b->store, "agent.id", value, sizeof value) == 0)
    assert_string_equal(value, "the-agent");
  calllogs_of(b, &documents);
  assert_true(facts <= LEGS * FACTS_PER_LEG && documents <= LEGS);
  store_stats(b->store, &stats);
  if (facts < LEGS * FACTS_PER_LEG && stats.quarantined == 0 && stats.set_aside == 0)
    fail_msg("%d facts are missing, and nobody says so", LEGS * FACTS_PER_LEG - facts);
  l->facts += LEGS * FACTS_PER_LEG - facts;
  l->documents += LEGS - documents;
  l->quarantined += stats.quarantined > 0;
  l->set_aside += stats.set_aside > 0;
}

static void random_damage(void **state) {
  struct bench *b = *state, *copy = NULL;
  void *place = &copy;
  struct losses l = {0};
  int count = rounds(300);
  second_bench(place);
  choose_seed();
  bench_open(b);
  for (int leg = 0; leg < LEGS; leg++) put_leg(b, leg);
  assert_int_equal(store_put_value(b->store, "agent.id", "the-agent"), 0);
  shut(b);
  off_t bytes = file_bytes(b->directory, "sidetone.db");
  for (int round = 0; round < count; round++) {
    copy_image(b->directory, copy->directory);
    bool flips = do_damage(copy->directory, bytes);
    int lost = l.facts;
    if (bench_open_with(copy, 0) != 0) {
      /* A version that grew by a flip cannot be told from a newer one: refused, and untouched. */
      if (strstr(copy->why, "newer version") == NULL) fail_msg("%s", copy->why);
      l.refused++;
      continue;
    }
    read_everything(copy, &l);
    l.by_flips += flips ? l.facts - lost : 0;
    char id[32];
    snprintf(id, sizeof id, "new-%d", round);
    assert_int_equal(bench_ask(copy, an_event("new", id, body_of("new", id)))->status, STORE_DONE);
    assert_int_equal(facts_of(copy, "new"), 1);
    shut(copy);
    bench_open(copy); /* and what was written stays */
    assert_int_equal(facts_of(copy, "new"), 1);
    shut(copy);
  }
  print_message(
      "%d rounds: %d facts (%d by flips) and %d documents lost; %d with rows in quarantine, %d files set "
      "aside, %d "
      "refused as newer\n",
      count, l.facts, l.by_flips, l.documents, l.quarantined, l.set_aside, l.refused);
  assert_true(l.set_aside > 0 && l.quarantined > 0);
  assert_true(l.by_flips < count * 4 && l.refused <= count / 20);
  assert_int_equal(bench_teardown(place), 0);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup_teardown(function, bench_setup, bench_teardown)
  const struct CMUnitTest tests[] = {
      TEST(a_torn_tail_takes_only_what_stands_in_it),
      TEST(a_flipped_byte_in_the_middle_of_the_log),
      TEST(random_damage),
  };
  return cmocka_run_group_tests_name("store_damage", tests, NULL, NULL);
}
