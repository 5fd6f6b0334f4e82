/* What the driver and the server alone take for the writes of a drain: facts by unordered bulks, the documents read back,
 * settles by unordered bulks. Nothing is folded, nothing marked as done. The operations come from a file.
 *
 *   bare_drain URI DATABASE COLLECTION BATCH FILE
 *   FILE: BSON documents {leg, fact: {filter, update}, settle: {filter, update}}, one after the other
 *
 * Prints: rows=N seconds=S matched=N (settles that found their document). */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "store/mongo_driver.h"

enum { BATCH_MAX = 1000 };

struct row {
  bson_t document; /* copied from the file */
  bson_t fact[2], settle[2];
  const char *leg;
};

static mongoc_collection_t *calls;
static struct row rows[BATCH_MAX];
static int64_t matched;

static void die(const char *what, const bson_error_t *error) {
  fprintf(stderr, "bare_drain: %s: %s\n", what, error ? error->message : "");
  exit(1);
}

static double now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void view(const bson_t *row, const char *path, bson_t *out) {
  bson_iter_t at, found;
  uint32_t length;
  const uint8_t *bytes;
  if (!bson_iter_init(&at, row) || !bson_iter_find_descendant(&at, path, &found)) die(path, NULL);
  bson_iter_document(&found, &length, &bytes);
  if (!bson_init_static(out, bytes, length)) die(path, NULL);
}

static size_t read_batch(bson_reader_t *file, size_t batch) {
  size_t count = 0;
  const bson_t *document;
  while (count < batch && (document = bson_reader_read(file, NULL)) != NULL) {
    struct row *row = &rows[count++];
    bson_iter_t at;
    bson_copy_to(document, &row->document);
    view(&row->document, "fact.filter", &row->fact[0]);
    view(&row->document, "fact.update", &row->fact[1]);
    view(&row->document, "settle.filter", &row->settle[0]);
    view(&row->document, "settle.update", &row->settle[1]);
    if (!bson_iter_init_find(&at, &row->document, "leg")) die("leg", NULL);
    row->leg = bson_iter_utf8(&at, NULL);
  }
  return count;
}

static void write_bulk(size_t count, bool settles) {
  bson_t *opts = BCON_NEW("ordered", BCON_BOOL(false));
  bson_t *each = BCON_NEW("upsert", BCON_BOOL(!settles));
  mongoc_bulk_operation_t *bulk = mongoc_collection_create_bulk_operation_with_opts(calls, opts);
  bson_error_t error;
  bson_t reply;
  bson_iter_t at;
  for (size_t i = 0; i < count; i++) {
    const bson_t *op = settles ? rows[i].settle : rows[i].fact;
    if (!mongoc_bulk_operation_update_one_with_opts(bulk, &op[0], &op[1], each, &error)) die("bulk", &error);
  }
  if (!mongoc_bulk_operation_execute(bulk, &reply, &error)) die("bulk", &error);
  if (settles && bson_iter_init_find(&at, &reply, "nMatched")) matched += bson_iter_as_int64(&at);
  bson_destroy(&reply);
  mongoc_bulk_operation_destroy(bulk);
  bson_destroy(opts);
  bson_destroy(each);
}

static void read_back(size_t count) {
  bson_t filter = BSON_INITIALIZER, in, names;
  char key[16];
  const char *name;
  bson_append_document_begin(&filter, "telnyx.callControlId", -1, &in);
  bson_append_array_begin(&in, "$in", -1, &names);
  for (uint32_t i = 0; i < count; i++) {
    bson_uint32_to_string(i, &name, key, sizeof key);
    bson_append_utf8(&names, name, -1, rows[i].leg, -1);
  }
  bson_append_array_end(&in, &names);
  bson_append_document_end(&filter, &in);
  mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(calls, &filter, NULL, NULL);
  const bson_t *document;
  bson_error_t error;
  while (mongoc_cursor_next(cursor, &document)) continue;
  if (mongoc_cursor_error(cursor, &error)) die("find", &error);
  mongoc_cursor_destroy(cursor);
  bson_destroy(&filter);
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
  const double begin = now_s();
  for (; (count = read_batch(file, batch)) > 0; all += count) {
    write_bulk(count, false);
    read_back(count);
    write_bulk(count, true);
    for (size_t i = 0; i < count; i++) bson_destroy(&rows[i].document);
  }
  printf("rows=%zu seconds=%.3f matched=%lld\n", all, now_s() - begin, (long long)matched);
  bson_reader_destroy(file);
  mongoc_write_concern_destroy(concern);
  mongoc_collection_destroy(calls);
  mongoc_client_destroy(client);
  mongoc_cleanup();
  return 0;
}
