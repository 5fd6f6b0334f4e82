/* Several agents write one document: random interleavings of their steps, with duplicates, older versions of parts,
 * crashes between any two steps. Once every row is finished the document is the fold of all facts (8.4). */
#include <time.h>

#include "tests/fixture_facts.h"
#include "tests/fold_story.h"
#include "tests/settle_case.h"

enum { AGENTS_MAX = 3, VERSIONS_MAX = 600 };

/* One write of a fact, as some agent's outbox has it. */
struct version {
  json_t *json;
  bool is_part;
};
struct leg_story {
  const char *leg;
  struct version version[VERSIONS_MAX];
  size_t count;
};

enum phase { PHASE_WRITE, PHASE_READ, PHASE_MAIN, PHASE_COMPARE, PHASE_SECONDS, PHASE_DONE };
struct agent {
  struct fold_options options;
  struct mongo_folder folder;
  size_t rows[VERSIONS_MAX], row_count, at;
  enum phase phase;
  bool conflict, planned, watched;
  struct mongo_settle plan;
  json_t *read; /* what the plan was made from */
  size_t second;
};

/* ---- people ---- */

/* Somebody marks an outcome and sets a tag, at any time. */
static void person(struct collection *c) {
  json_t *here = quoted("{'telnyx.callControlId':'v3:leg-A'}"),
         *work = quoted("{'$set':{'outcome.result':'qualified'},'$addToSet':{'tags':'vip'}}");
  apply_json(c, here, work, false);
  json_decref(here);
  json_decref(work);
}

static bool has_been(const json_t *document) {
  const char *result = json_string_value(at_path(document, "outcome.result"));
  return result && !strcmp(result, "qualified");
}

/* The fold, with what a person did to the document: the outcome is hers, and her tag stands among ours. New reference. */
static json_t *expected_of(const json_t *folded, const json_t *document) {
  json_t *expected = comparable(folded), *tags = document_reader(at_path(document, "tags"));
  if (!has_been(document)) return expected;
  json_object_set_new(expected, "outcome", json_pack("{s:s}", "result", "qualified"));
  json_t *ours = json_deep_copy(json_object_get(expected, "tags")), *all = json_array();
  for (size_t i = 0, k = 0; i < json_array_size(tags); i++) {
    bool hers = !strcmp(json_string_value(json_array_get(tags, i)), "vip");
    json_array_append(all, hers ? json_array_get(tags, i) : json_array_get(ours, k));
    k += !hers;
  }
  assert_int_equal(json_array_size(all), json_array_size(ours) + 1);
  json_object_set_new(expected, "tags", all);
  json_decref(ours);
  return expected;
}

/* ---- agents ---- */

static uint64_t revision_of(const json_t *document) {
  return (uint64_t)json_integer_value(at_path(document, "metadata.sidetone.revision"));
}

static void drop_plan(struct agent *a) {
  if (a->planned) settle_clear(&a->plan);
  json_decref(a->read);
  a->read = NULL;
  a->planned = false;
}

static void write_row(struct collection *c, struct agent *a, const struct leg_story *tale) {
  size_t many = 1 + (size_t)(rand() % 3); /* one settle may serve several facts */
  while (many-- > 0 && a->at < a->row_count) {
    const struct version *v = &tale->version[a->rows[a->at++]];
    send_fact(c, &a->folder, tale->leg, v->json, v->is_part);
  }
  a->conflict = false;
  a->phase = PHASE_READ;
}

static void read_leg(struct collection *c, struct agent *a, const struct leg_story *tale) {
  const json_t *document = document_of(c, tale->leg);
  drop_plan(a);
  a->plan = plan_of(&a->folder, document, a->conflict);
  a->planned = true;
  a->read = json_deep_copy(document);
  a->second = 0;
  a->phase = PHASE_MAIN;
}

/* From the moment a document has revision R it is the fold of the facts that R names: readers need not wait. */
static void expect_whole(const struct collection *c, const struct agent *a, const char *leg) {
  struct facts *facts = facts_new(leg);
  json_t *elements = document_reader(at_path(a->read, "telnyx.webhookEvents")), *part, *now[2];
  const char *name;
  for (size_t i = 0; i < json_array_size(elements); i++)
    facts_add_element(facts, json_array_get(elements, i));
  json_object_foreach(document_reader(at_path(a->read, "metadata.sidetone.media")), name, part)
      facts_put_part(facts, part_from_json(part));
  json_t *folded = fold_plain(facts, NULL);
  now[0] = expected_of(folded, c->documents[0]);
  now[1] = comparable(c->documents[0]);
  for (int i = 0; i < 2; i++) { /* facts may have come since */
    json_object_del(json_object_get(now[i], "telnyx"), "webhookEvents");
    json_object_del(json_object_get(json_object_get(now[i], "metadata"), "sidetone"), "media");
  }
  if (print_difference("", now[1], now[0])) fail_msg("revision %d is not whole", (int)a->plan.revision);
  json_decref(now[0]);
  json_decref(now[1]);
  json_decref(folded);
  facts_free(facts);
}

static void write_main(struct collection *c, struct agent *a, const char *leg) {
  switch (apply(c, &a->plan.main)) {
    case APPLIED_MATCHED:
      if (a->watched) expect_whole(c, a, leg);
      a->phase = PHASE_SECONDS;
      break;
    case APPLIED_NONE:
      a->phase = PHASE_COMPARE;
      break;
    case APPLIED_DUPLICATE:
      assert_false(a->conflict);
      a->conflict = true;
      a->phase = PHASE_READ;
      break;
    default:
      fail_msg("the main update is refused");
  }
}

/* Equal: an earlier try got this far, or another agent. */
static void compare(struct collection *c, struct agent *a, const struct leg_story *tale) {
  uint64_t there = revision_of(document_of(c, tale->leg));
  if (there > a->plan.revision)
    a->phase = PHASE_DONE;
  else
    a->phase = there == a->plan.revision ? PHASE_SECONDS : PHASE_READ;
}

static void write_second(struct collection *c, struct agent *a) {
  if (a->second == a->plan.second_count)
    a->phase = PHASE_DONE;
  else
    assert_true(apply(c, &a->plan.second[a->second++]) != APPLIED_BLOCKED);
}

/* False: nothing is left to do. */
static bool step(struct collection *c, struct agent *a, const struct leg_story *tale, size_t *began) {
  switch (a->phase) {
    case PHASE_WRITE:
      *began = a->at;
      if (a->at == a->row_count) return false;
      write_row(c, a, tale);
      break;
    case PHASE_READ:
      read_leg(c, a, tale);
      break;
    case PHASE_MAIN:
      write_main(c, a, tale->leg);
      break;
    case PHASE_COMPARE:
      compare(c, a, tale);
      break;
    case PHASE_SECONDS:
      write_second(c, a);
      break;
    case PHASE_DONE:
      a->phase = PHASE_WRITE;
      break;
  }
  return true;
}

/* Every version goes to one agent at least, in a random order; some go to two, some twice to one. */
static void deal(struct agent *agents, size_t agent_count, const struct leg_story *tale) {
  for (size_t i = 0; i < tale->count; i++) {
    size_t copies = 1 + (rand() % 4 == 0);
    while (copies-- > 0) {
      struct agent *a = &agents[(size_t)rand() % agent_count];
      if (a->row_count == VERSIONS_MAX) continue;
      size_t place = (size_t)rand() % (a->row_count + 1);
      a->rows[a->row_count++] = a->rows[place];
      a->rows[place] = i;
    }
  }
}

static void run_round(const struct leg_story *tale, const char *what, bool watched) {
  static const char *const names[AGENTS_MAX] = {"a", "b", "c"};
  struct agent agents[AGENTS_MAX];
  struct collection c = {.clock_ms = start_ms};
  size_t agent_count = 1 + (size_t)(rand() % AGENTS_MAX), began[AGENTS_MAX] = {0}, busy = agent_count;
  memset(agents, 0, sizeof agents);
  for (size_t i = 0; i < agent_count; i++) {
    agents[i].options = plain_options;
    agents[i].options.agent_id = names[i];
    agents[i].watched = watched;
    agents[i].folder = settle_folder(&agents[i].options, false);
  }
  deal(agents, agent_count, tale);
  while (busy > 0) {
    size_t i = (size_t)rand() % agent_count, burst = rand() % 6 == 0 ? 6 : 1;
    if (rand() % 40 == 0) { /* a crash: the rows that are not finished come again */
      drop_plan(&agents[i]);
      agents[i].at = began[i];
      agents[i].phase = PHASE_WRITE;
    }
    if (watched && rand() % 100 == 0) person(&c);
    while (burst-- > 0 && step(&c, &agents[i], tale, &began[i])) {
    }
    busy = 0;
    for (size_t k = 0; k < agent_count; k++)
      busy += agents[k].phase != PHASE_WRITE || agents[k].at < agents[k].row_count;
  }
  for (size_t i = 0; i < agent_count; i++) drop_plan(&agents[i]);
  struct facts *facts = facts_new(tale->leg);
  for (size_t i = 0; i < tale->count; i++) {
    if (tale->version[i].is_part)
      facts_put_part(facts, part_from_json(tale->version[i].json));
    else
      facts_add_element(facts, tale->version[i].json);
  }
  assert_int_equal(c.count, 1);
  json_t *folded = fold_plain(facts, NULL), *expected = expected_of(folded, c.documents[0]),
         *got = comparable(c.documents[0]);
  if (print_difference("", got, expected)) fail_msg("%s, %zu agents: not the fold", what, agent_count);
  json_decref(folded);
  json_decref(expected);
  json_decref(got);
  facts_free(facts);
  collection_clear(&c);
}

static unsigned seed_of_test(void) {
  const char *given = getenv("SIDETONE_SEED");
  unsigned seed = given ? (unsigned)atoi(given) : (unsigned)time(NULL);
  print_message("seed %u (SIDETONE_SEED)\n", seed);
  return seed;
}

/* ---- facts that take one another's word back ---- */

/* Each changes what another one says: a late lead takes the tag, an earlier hang-up the cause, a frame of life the end
 * and the outcome. */
static const struct {
  const char *type, *payload;
  int64_t at_ms;
} quarrel[] = {
    {"call.initiated", "{'from':'+15550100001','caller_id_name':'Ann'}", 1000},
    {"call.initiated", "{'direction':'incoming','from':'+15550100001','caller_id_name':'+15550100001'}",
     2000},
    {"call.answered", "{'client_state':'{\\'leadId\\':\\'64b7f0c2a1b2c3d4e5f60718\\'}'}", 3000},
    {"call.hangup", "{'hangup_source':'callee','hangup_cause':'user_busy'}", 9000},
    {"call.hangup", "{'hangup_source':'unknown'}", 8000},
    {"sidetone.leg_lost", "{}", 4000},
    {"call.machine.detection.ended", "{'result':'machine'}", 5000},
    {"call.hold", "{}", 6000},
    {"call.cost", "{'status':'success','total_cost':'0.0071'}", 10000},
    {"call.cost", "{}", 11000},
    {"call.recording.saved", "{'format':'mp3','recording_urls':{'mp3':'https://r/1.mp3'}}", 12000},
    {"call.recording.saved", "{'format':'wav','recording_urls':{'mp3':'https://r/1.mp3'}}", 12500},
};
enum { QUARREL = sizeof quarrel / sizeof *quarrel };

static void a_quarrel_in_any_order(void **state) {
  (void)state;
  srand(seed_of_test());
  for (int round = 0; round < 800; round++) {
    struct leg_story tale = {.leg = LEG};
    for (size_t i = 0; i < QUARREL; i++) {
      if (rand() % 2) continue;
      char id[16];
      snprintf(id, sizeof id, "%zu", i);
      struct event event = {.id = id,
                            .type = quarrel[i].type,
                            .row = event_row(quarrel[i].type),
                            .has_occurred_at = true,
                            .occurred_at_us = (start_ms + quarrel[i].at_ms) * 1000,
                            .payload = quoted(quarrel[i].payload)};
      tale.version[tale.count++] = (struct version){facts_event_element(&event), false};
      json_decref(event.payload);
    }
    if (tale.count) run_round(&tale, "quarrel", true);
    for (size_t i = 0; i < tale.count; i++) json_decref(tale.version[i].json);
  }
}

/* ---- the story that uses every rule ---- */

static void a_story_in_any_order(void **state) {
  (void)state;
  srand(seed_of_test());
  for (int round = 0; round < 25; round++) {
    struct fact told[STORY_FACTS];
    struct leg_story tale = {.leg = LEG};
    tell(told);
    for (size_t i = 0; i < STORY_FACTS; i++) {
      if (rand() % 3 == 0) continue; /* a part of the story: other rules meet then */
      tale.version[tale.count++] = (struct version){told[i].json, told[i].is_part};
      if (!told[i].is_part) continue;
      for (int k = 0; k < 2; k++) { /* the part as it stood later */
        json_t *later = json_deep_copy(tale.version[tale.count - 1].json);
        json_int_t n = json_integer_value(json_object_get(later, "n"));
        json_object_set_new(later, "n", json_integer(n + 1 + rand() % 3));
        json_object_set_new(later, "state", json_string(rand() % 2 ? "closed" : "cut"));
        tale.version[tale.count++] = (struct version){later, true};
      }
    }
    if (tale.count) run_round(&tale, "story", false);
    for (size_t i = 0; i < tale.count; i++) {
      bool is_told = false;
      for (size_t k = 0; k < STORY_FACTS; k++) is_told |= told[k].json == tale.version[i].json;
      if (!is_told) json_decref(tale.version[i].json);
    }
    release(told);
  }
}

/* ---- the fixtures ---- */

static size_t legs_run;

static void run_fixture(const char *name, const struct telling *t) {
  for (size_t i = 0; i < t->count; i++) {
    struct leg_story tale = {.leg = t->told[i].leg};
    bool seen = false;
    for (size_t k = 0; k < i; k++) seen |= !strcmp(t->told[k].leg, tale.leg);
    if (seen) continue;
    for (size_t k = i; k < t->count && tale.count < VERSIONS_MAX; k++)
      if (!strcmp(t->told[k].leg, tale.leg))
        tale.version[tale.count++] = (struct version){t->told[k].json, t->told[k].is_part};
    run_round(&tale, name, false);
    legs_run++;
  }
}

static void every_fixture_in_any_order(void **state) {
  (void)state;
  srand(seed_of_test());
  assert_true(each_fixture(run_fixture) > 25);
  assert_true(legs_run > 25);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_quarrel_in_any_order),
      cmocka_unit_test(a_story_in_any_order),
      cmocka_unit_test(every_fixture_in_any_order),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
