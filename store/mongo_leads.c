#include <string.h>

#include "store/clock.h"
#include "store/mongo_error.h"
#include "store/mongo_internal.h"

/* A leading plus and 8 to 15 digits, the first not 0 (data-model.md 1.1). */
static bool is_e164(const char *number) {
  if (number[0] != '+' || number[1] < '1' || number[1] > '9') return false;
  const size_t digits = strspn(number + 1, "0123456789");
  return number[1 + digits] == '\0' && digits >= 8 && digits <= 15;
}

struct found {
  char lead[25], contact[25]; /* 24 hex digits, "" for none */
};

static void copy_oid(const bson_t *document, const char *path, char *out) {
  bson_iter_t at;
  if (bson_iter_init_find(&at, document, path) && BSON_ITER_HOLDS_OID(&at))
    bson_oid_to_string(bson_iter_oid(&at), out);
}

/* The oldest document whose `field` is the number. 1: found, 0: none, -1: failed. */
static int find_one(struct mongo *m, const char *collection, const char *field, const char *number,
                    struct found *found, struct sink_outcome *out) {
  bson_t *filter = BCON_NEW(field, BCON_UTF8(number));
  /* The original has no index on most of these: a scan ends before the socket's patience does. */
  bson_t *opts =
      BCON_NEW("limit", BCON_INT64(1), "sort", "{", "_id", BCON_INT32(1), "}", "projection", "{", "_id",
               BCON_INT32(1), "leadId", BCON_INT32(1), "}", "maxTimeMS", BCON_INT64(m->link.socket_ms / 2));
  mongoc_collection_t *c = mongoc_client_get_collection(m->link.client, m->link.database, collection);
  const int64_t began_ms = monotonic_ms();
  mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(c, filter, opts, NULL);
  const bson_t *document;
  bson_error_t error;
  const bool lead = strcmp(collection, "leads") == 0, hit = mongoc_cursor_next(cursor, &document);
  if (hit) copy_oid(document, "_id", lead ? found->lead : found->contact);
  if (hit && !lead) copy_oid(document, "leadId", found->lead);
  const bool failed = mongoc_cursor_error(cursor, &error);
  mongoc_cursor_destroy(cursor);
  mongoc_collection_destroy(c);
  bson_destroy(filter);
  bson_destroy(opts);
  if (!failed) return hit ? 1 : 0;
  if (error.code == MONGOC_ERROR_MAX_TIME_MS_EXPIRED && error.domain == MONGOC_ERROR_SERVER)
    mongo_outcome(out, SINK_RETRY, "timeout", "lead look-up: too slow; an index on the phone fields helps");
  else
    mongo_failed(m, &error, NULL, began_ms, out);
  return -1;
}

static int find_number(struct mongo *m, const char *number, struct found *found, struct sink_outcome *out) {
  static const char *const places[][2] = {
      {"leads", "phone"},           {"leads", "alternatePhone"}, {"contacts", "phone.primary"},
      {"contacts", "phone.mobile"}, {"contacts", "phone.work"},  {"contacts", "phone.home"}};
  int rc = 0;
  for (size_t i = 0; rc == 0 && i < sizeof places / sizeof *places; i++)
    rc = find_one(m, places[i][0], places[i][1], number, found, out);
  return rc < 0 ? -1 : 0;
}

int mongo_look_up_lead(struct mongo *m, struct mongo_leg *leg) {
  struct found found = {.lead = ""};
  struct mongo_op op = {.filter = NULL};
  const char *number = leg->settle.lookup_number;
  if (!mongo_may_go_on(m)) {
    leg->outcome = m->failure;
    return -1;
  }
  if (is_e164(number) && find_number(m, number, &found, &leg->outcome) != 0) return -1;
  if (m->folder.lead_lookup(m->folder.arg, leg->leg, found.lead[0] == '\0' ? NULL : found.lead,
                            found.contact[0] == '\0' ? NULL : found.contact, &op) != 0) {
    mongo_outcome(&leg->outcome, SINK_RETRY, "fold",
                  "the lead look-up's result could not be written as a fact");
    return -1;
  }
  leg->outcome.result = SINK_DONE;
  struct mongo_write write = {.op = &op, .upsert = op.upsert, .outcome = &leg->outcome};
  mongo_bulk(m, &write, 1);
  mongo_op_free(&op);
  return write.answer == WRITE_FAILED ? -1 : 0;
}
