/* The table of paths is whole: the fold writes nothing else, and it says the same as the data model's table. */
#include "agent/settle_paths.h"
#include "tests/fixture_facts.h"
#include "tests/fold_story.h"
#include "tests/settle_case.h"

/* ---- what the fold writes ---- */

static bool written[256]; /* rows of the table that some document had */

static void check_paths(const char *path, const json_t *value) {
  const struct settle_path *row = settle_path_find(path);
  if (row) {
    written[row - settle_paths] = true;
    if (row->array && !json_is_array(value)) fail_msg("%s is no array", path);
    if (!row->array && json_is_array(value) && row->kind != SETTLE_ROWS) fail_msg("%s is an array", path);
    return;
  }
  const char *key;
  json_t *member;
  if (!json_is_object(value) || json_object_get(value, "$date") || json_object_get(value, "$oid"))
    fail_msg("%s is not in the table of paths", path);
  json_object_foreach(document_reader(value), key, member) {
    char below[SETTLE_PATH_BYTES];
    snprintf(below, sizeof below, "%.80s%s%.60s", path, *path ? "." : "", key);
    check_paths(below, member);
  }
}

/* STAYS: what is there once is there with more facts as well. */
static void check_stays(const json_t *before, const json_t *after) {
  for (size_t i = 0; i < settle_path_count; i++) {
    if (settle_paths[i].kind != SETTLE_STAYS) continue;
    const json_t *then = at_path(before, settle_paths[i].path), *now = at_path(after, settle_paths[i].path);
    bool was = then && !(json_is_array(then) && !json_array_size(then));
    if (was && (!now || (json_is_array(now) && !json_array_size(now))))
      fail_msg("%s went away", settle_paths[i].path);
  }
}

static void check_growing(struct facts *facts, const struct told *told, size_t count) {
  json_t *before = fold_plain(facts, NULL);
  for (size_t i = 0; i < count; i++) {
    if (strcmp(told[i].leg, facts->leg)) continue;
    if (told[i].is_part)
      facts_put_part(facts, part_from_json(told[i].json));
    else
      facts_add_element(facts, told[i].json);
    json_t *after = fold_plain(facts, NULL);
    check_paths("", after);
    check_stays(before, after);
    json_decref(before);
    before = after;
  }
  json_decref(before);
}

static void check_fixture(const char *name, const struct telling *t) {
  (void)name;
  for (size_t i = 0; i < t->count; i++) {
    bool seen = false;
    for (size_t k = 0; k < i; k++) seen |= !strcmp(t->told[k].leg, t->told[i].leg);
    if (seen) continue;
    struct facts *facts = facts_new(t->told[i].leg);
    check_growing(facts, t->told, t->count);
    facts_free(facts);
  }
}

static void every_path_of_the_fold_is_in_the_table(void **state) {
  (void)state;
  assert_true(settle_path_count < sizeof written / sizeof *written);
  assert_true(each_fixture(check_fixture) > 25);
  srand(3);
  for (int round = 0; round < 20; round++) {
    struct fact facts[STORY_FACTS];
    struct told told[STORY_FACTS];
    tell(facts);
    for (size_t i = 0; i < STORY_FACTS; i++) {
      size_t place = (size_t)rand() % (i + 1);
      if (place != i) told[i] = told[place];
      told[place] = (struct told){.leg = LEG, .is_part = facts[i].is_part, .json = facts[i].json};
    }
    struct facts *all = facts_new(LEG);
    check_growing(all, told, STORY_FACTS);
    json_t *lookup = quoted("{'leadId':{'$oid':'64b7f0c2a1b2c3d4e5f60718'}}");
    assert_true(facts_set_lead_lookup(all, lookup));
    json_t *document = fold_plain(all, NULL);
    check_paths("", document);
    json_decref(document);
    json_decref(lookup);
    facts_free(all);
    release(facts);
  }
  /* Rows that the fold does not write yet, and what settle.c adds. */
  static const char *const not_yet[] = {"compliance.reviewRequired", "metadata.sidetone.callLogIdConflict"};
  for (size_t i = 0; i < settle_path_count; i++) {
    bool expected = true;
    for (size_t k = 0; k < sizeof not_yet / sizeof *not_yet; k++)
      expected &= strcmp(not_yet[k], settle_paths[i].path) != 0;
    if (written[i] != expected)
      fail_msg("%s: %s", settle_paths[i].path, expected ? "never written" : "written");
  }
}

static void no_path_lies_below_another(void **state) {
  (void)state;
  for (size_t i = 0; i < settle_path_count; i++)
    for (size_t k = 0; k < settle_path_count; k++) {
      size_t length = strlen(settle_paths[i].path);
      if (i != k && !strncmp(settle_paths[i].path, settle_paths[k].path, length) &&
          (!settle_paths[k].path[length] || settle_paths[k].path[length] == '.'))
        fail_msg("%s and %s", settle_paths[i].path, settle_paths[k].path);
    }
}

/* ---- calllog-fields.csv ---- */

/* Paths that the data model gives to the edge, too, but which no fact of ours says anything of. A settle does not
 * touch them: the application may. */
static const char *const not_folded[] = {
    "telnyx.apiResponse",
    "callId",
    "from.country",
    "from.formatted",
    "to.displayName",
    "to.country",
    "to.formatted",
    "forwardedFrom",
    "originalTo",
    "ringingAt",
    "duration.ringing",
    "quality.audio.latency",
    "quality.audio.averageRtt",
    "quality.network.type",
    "quality.network.signalStrength",
    "quality.network.bandwidth",
    "quality.network.packetsSent",
    "quality.network.bytesSent",
    "recording.consentGiven",
    "recording.consentTimestamp",
    "recording.consentMethod",
    "recording.recordingSize",
    "recording.expiresAt",
    "recording.transcriptionUrl",
    "transcription.language",
    "transcription.processedAt",
    "transcription.error",
    "transfer.wasTransferred",
    "transfer.transferType",
    "transfer.transferredTo.number",
    "transfer.transferredTo.userId",
    "transfer.transferredTo.name",
    "transfer.transferredBy.userId",
    "transfer.transferredBy.name",
    "transfer.transferredAt",
    "transfer.transferReason",
    "transfer.transferSuccessful",
    "voicemail.left",
    "voicemail.duration",
    "voicemail.transcription",
    "voicemail.audioUrl",
    "billing.ratePerMinute",
    "compliance.doNotCallCheck",
    "compliance.timeOfDayCompliant",
    "compliance.consentRecorded",
    "customFields",
    "metadata", /* what is ours of it is metadata.sidetone */
};
enum { NOT_FOLDED = sizeof not_folded / sizeof *not_folded };

static char *shared_table(void) {
  const char *shared = getenv("SIDETONE_SHARED");
  char path[512];
  snprintf(path, sizeof path, "%s/data/calllog-fields.csv", shared && *shared ? shared : "../shared");
  FILE *file = fopen(path, "r");
  if (!file) fail_msg("%s is missing: set SIDETONE_SHARED to the folder of the shared data", path);
  char *text = calloc(1, 1 << 20);
  assert_true(fread(text, 1, (1 << 20) - 1, file) > 10000);
  fclose(file);
  return text;
}

static bool is_not_folded(const char *path, bool *used) {
  for (size_t i = 0; i < NOT_FOLDED; i++)
    if (!strcmp(not_folded[i], path)) return used[i] = true;
  return false;
}

/* The array of rows, for a path into its rows. */
static const struct settle_path *row_of_path(char *path) {
  char *rows = strstr(path, "[]");
  if (rows) *rows = 0;
  return settle_path_find(path);
}

static void the_table_is_that_of_the_data_model(void **state) {
  (void)state;
  char *text = shared_table(), *rest = text, *line = strsep(&rest, "\n");
  bool used[NOT_FOLDED] = {false}, found[256] = {false};
  while ((line = strsep(&rest, "\n")) && *line) {
    char *cell = line, *path = strsep(&cell, ","), *type = strsep(&cell, ",");
    for (int skipped = 0; skipped < 3; skipped++) strsep(&cell, ",");
    const char *filled_by = strsep(&cell, ",");
    if (strstr(path, "[]._id")) continue; /* the database's: Mongoose adds them */
    const struct settle_path *row = row_of_path(path);
    if (row) {
      found[row - settle_paths] = true;
      bool ours = row->kind == SETTLE_OURS || row->kind == SETTLE_LONG || row->kind == SETTLE_STAYS;
      if (ours && !strstr(filled_by, "edge-")) fail_msg("%s is not the edge's", path);
      if ((row->kind == SETTLE_LONG) != !strcmp(type, "int64")) fail_msg("%s is %s", path, type);
      if (is_not_folded(path, used)) fail_msg("%s is in both lists", path);
    } else if (strstr(filled_by, "edge-") && !is_not_folded(path, used)) {
      fail_msg("%s is the edge's and not in the table of paths", path);
    }
  }
  for (size_t i = 0; i < NOT_FOLDED; i++)
    if (!used[i]) fail_msg("%s is not the edge's", not_folded[i]);
  for (size_t i = 0; i < settle_path_count; i++)
    if (!found[i] && strncmp(settle_paths[i].path, "metadata.sidetone.", 18) != 0)
      fail_msg("%s is not in the data model", settle_paths[i].path);
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_path_of_the_fold_is_in_the_table),
      cmocka_unit_test(no_path_lies_below_another),
      cmocka_unit_test(the_table_is_that_of_the_data_model),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
