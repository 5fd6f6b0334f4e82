/* What the driver and the server alone take for the writes of a drain: the same facts by unordered bulks, the documents
 * read back, the same settles by unordered bulks. The operations are the agent's own (agent/settle.h); the time to make them
 * is taken off, nothing is marked as done.
 *
 *   bare_drain URI DATABASE COLLECTION BATCH FILE
 *   FILE: BSON documents {leg, id, at_ms, body: the element of telnyx.webhookEvents as JSON}, one after the other
 *
 * Prints: rows=N seconds=S planning=S matched=N (settles that found their document). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/settle.h"
#include "store/mongo_driver.h"

enum { BATCH_MAX = 1000 };

struct row {
  bson_t document; /* copied from the file */
  struct sink_row row;
  struct mongo_fact fact;
  struct mongo_settle settle;
  bool settled;
};

static const struct fold_options options = {.agent_id = "bare", .version = SIDETONE_VERSION};
static struct mongo_folder folder;
static mongoc_collection_t *calls;
static struct row rows[BATCH_MAX];
static int64_t matched;
static double planning_s;

static void die(const char *what, const bson_error_t *error) {
  fprintf(stderr, "bare_drain: %s: %s\n", what, error ? error->message : "");
  exit(1);
}

static double now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static const char *text_of(const bson_t *document, const char *key) {
  bson_iter_t at;
  if (!bson_iter_init_find(&at, document, key) || !BSON_ITER_HOLDS_UTF8(&at)) die(key, NULL);
  return bson_iter_utf8(&at, NULL);
}

static size_t read_batch(bson_reader_t *file, size_t batch) {
  size_t count = 0;
  const bson_t *document;
  while (count < batch && (document = bson_reader_read(file, NULL)) != NULL) {
    struct row *row = &rows[count++];
    bson_copy_to(document, &row->document);
    row->row = (struct sink_row){.row = 1, .kind = OUTBOX_EVENT, .at_ms = 1767225600000};
    row->row.leg = text_of(&row->document, "leg");
    row->row.id = text_of(&row->document, "id");
    row->row.body = text_of(&row->document, "body");
    row->row.body_bytes = strlen(row->row.body);
    row->settled = false;
  }
  return count;
}

static void plan_facts(size_t count) {
  const double begin = now_s();
  for (size_t i = 0; i < count; i++)
    if (folder.fact(folder.arg, &rows[i].row, &rows[i].fact) != 0) die("fact", NULL);
  planning_s += now_s() - begin;
}

static int by_leg(const void *a, const void *b) {
  return strcmp(((const struct row *)a)->row.leg, ((const struct row *)b)->row.leg);
}

static void plan_settle(size_t count, const bson_t *document) {
  bson_iter_t at, leg;
  struct row key = {.row = {.leg = ""}};
  const double begin = now_s();
  if (!bson_iter_init(&at, document) || !bson_iter_find_descendant(&at, "telnyx.callControlId", &leg))
    die("a document without a leg", NULL);
  key.row.leg = bson_iter_utf8(&leg, NULL);
  struct row *row = bsearch(&key, rows, count, sizeof *rows, by_leg);
  if (row == NULL ||
      folder.settle(folder.arg, bson_get_data(document), document->len, false, &row->settle) != 0)
    die("settle", NULL);
  row->settled = true;
  planning_s += now_s() - begin;
}

static void add_op(mongoc_bulk_operation_t *bulk, const struct mongo_op *op, bool upsert) {
  bson_t filter, update, *each = BCON_NEW("upsert", BCON_BOOL(upsert));
  bson_error_t error;
  uint32_t filter_bytes, update_bytes;
  memcpy(&filter_bytes, op->filter, sizeof filter_bytes);
  memcpy(&update_bytes, op->update, sizeof update_bytes);
  if (!bson_init_static(&filter, op->filter, BSON_UINT32_FROM_LE(filter_bytes)) ||
      !bson_init_static(&update, op->update, BSON_UINT32_FROM_LE(update_bytes)) ||
      !mongoc_bulk_operation_update_one_with_opts(bulk, &filter, &update, each, &error))
    die("bulk", &error);
  bson_destroy(each);
}

static void write_bulk(size_t count, bool settles) {
  bson_t *opts = BCON_NEW("ordered", BCON_BOOL(false));
  mongoc_bulk_operation_t *bulk = mongoc_collection_create_bulk_operation_with_opts(calls, opts);
  bson_error_t error;
  bson_t reply;
  bson_iter_t at;
  for (size_t i = 0; i < count; i++)
    add_op(bulk, settles ? &rows[i].settle.main : &rows[i].fact.write, !settles);
  if (!mongoc_bulk_operation_execute(bulk, &reply, &error)) die("bulk", &error);
  if (settles && bson_iter_init_find(&at, &reply, "nMatched")) matched += bson_iter_as_int64(&at);
  bson_destroy(&reply);
  mongoc_bulk_operation_destroy(bulk);
  bson_destroy(opts);
}

static void read_back(size_t count) {
  bson_t filter = BSON_INITIALIZER, in, names;
  char key[16];
  const char *name;
  bson_append_document_begin(&filter, "telnyx.callControlId", -1, &in);
  bson_append_array_begin(&in, "$in", -1, &names);
  for (uint32_t i = 0; i < count; i++) {
    bson_uint32_to_string(i, &name, key, sizeof key);
    bson_append_utf8(&names, name, -1, rows[i].row.leg, -1);
  }
  bson_append_array_end(&in, &names);
  bson_append_document_end(&filter, &in);
  mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(calls, &filter, NULL, NULL);
  const bson_t *document;
  bson_error_t error;
  while (mongoc_cursor_next(cursor, &document)) plan_settle(count, document);
  if (mongoc_cursor_error(cursor, &error)) die("find", &error);
  mongoc_cursor_destroy(cursor);
  bson_destroy(&filter);
  for (size_t i = 0; i < count; i++)
    if (!rows[i].settled) die("a document that is not there", NULL);
}

static void release(size_t count) {
  for (size_t i = 0; i < count; i++) {
    mongo_fact_free(&rows[i].fact);
    mongo_settle_free(&rows[i].settle);
    bson_destroy(&rows[i].document);
  }
}

int main(int argc, char **argv) {
  bson_error_t error;
  size_t batch = argc == 6 ? strtoul(argv[4], NULL, 10) : 0, count, all = 0;
  if (batch < 1 || batch > BATCH_MAX) {
    fprintf(stderr, "usage: bare_drain URI DATABASE COLLECTION BATCH FILE\n");
    return 2;
  }
  mongoc_init();
  mongoc_client_t *client = mongoc_client_new(argv[1]);
  if (!client) die("URI", NULL);
  calls = mongoc_client_get_collection(client, argv[2], argv[3]);
  mongoc_write_concern_t *concern = mongoc_write_concern_new();
  mongoc_write_concern_set_wmajority(concern, 10000);
  mongoc_collection_set_write_concern(calls, concern);
  bson_reader_t *file = bson_reader_new_from_file(argv[5], &error);
  if (!file) die(argv[5], &error);
  folder = settle_folder(&options, false);
  const double begin = now_s();
  for (; (count = read_batch(file, batch)) > 0; all += count) {
    qsort(rows, count, sizeof *rows, by_leg);
    plan_facts(count);
    write_bulk(count, false);
    read_back(count);
    write_bulk(count, true);
    release(count);
  }
  printf("rows=%zu seconds=%.3f planning=%.3f matched=%lld\n", all, now_s() - begin - planning_s, planning_s,
         (long long)matched);
  bson_reader_destroy(file);
  mongoc_write_concern_destroy(concern);
  mongoc_collection_destroy(calls);
  mongoc_client_destroy(client);
  mongoc_cleanup();
  return 0;
}
