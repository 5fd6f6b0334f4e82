#include "store/mongo_wanted.h"

#include <stdio.h>
#include <string.h>

const struct mongo_index mongo_indexes[] = {
    {.keys = {{"callLogId", 1}}, .unique = true},
    {.keys = {{"telnyx.callControlId", 1}}, .unique = true, .sparse = true},
    {.keys = {{"callId", 1}}},
    {.keys = {{"conversationId", 1}}},
    {.keys = {{"from.number", 1}}},
    {.keys = {{"to.number", 1}}},
    {.keys = {{"answerState", 1}}},
    {.keys = {{"outcome.result", 1}}},
    {.keys = {{"tags", 1}}},
    {.keys = {{"leadId", 1}, {"initiatedAt", -1}}},
    {.keys = {{"contactId", 1}, {"initiatedAt", -1}}},
    {.keys = {{"campaignId", 1}, {"initiatedAt", -1}}},
    {.keys = {{"direction", 1}, {"status", 1}}},
    {.keys = {{"callType", 1}, {"initiatedAt", -1}}},
    {.keys = {{"status", 1}, {"initiatedAt", -1}}},
    {.keys = {{"quality.overallRating", 1}}},
    {.keys = {{"initiatedAt", -1}}},
    {.keys = {{"answeredAt", -1}}},
    {.keys = {{"endedAt", -1}}},
    {.keys = {{"isActive", 1}, {"status", 1}}},
    {.keys = {{"leadId", 1}, {"direction", 1}, {"initiatedAt", -1}}},
    {.keys = {{"assignedAgent", 1}, {"status", 1}, {"initiatedAt", -1}}},
    {.keys = {{"campaignId", 1}, {"outcome.result", 1}, {"initiatedAt", -1}}},
    {.keys = {{"direction", 1}, {"answerState", 1}, {"initiatedAt", -1}}},
    {.keys = {{"callType", 1}, {"status", 1}, {"quality.overallRating", -1}}},
    {.keys = {{"transcription.fullText", 0}, {"aiAnalysis.keywords", 0}, {"outcome.notes", 0}, {"tags", 0}}},
    /* The loader reads by it. `leads` and `conversations` are the application's collections: whoever loads them asks
     * for theirs. */
    {.keys = {{"updatedAt", 1}, {"_id", 1}}},
};
const size_t mongo_index_count = sizeof mongo_indexes / sizeof *mongo_indexes;

/* A text index takes the language of a document from its field `language`, in sub-documents too, and refuses to write
 * one it does not know: with transcription.language "en-US", the original's default, every write fails (code 17262).
 * A field that nobody writes in its place leaves all documents to the index's own language. */
static const char language_field[] = "textIndexLanguage";

static bool is_text(const struct mongo_index *index) {
  return index->keys[0].direction == 0;
}

static size_t key_count(const struct mongo_index *index) {
  size_t n = 0;
  while (n < MONGO_INDEX_KEYS_MAX && index->keys[n].path != NULL) n++;
  return n;
}

void mongo_index_name(const struct mongo_index *index, char *out, size_t out_bytes) {
  size_t used = 0;
  for (size_t i = 0; i < key_count(index) && used < out_bytes; i++) {
    char direction[16] = "text";
    if (!is_text(index)) snprintf(direction, sizeof direction, "%d", index->keys[i].direction);
    used += (size_t)snprintf(out + used, out_bytes - used, "%s%s_%s", i == 0 ? "" : "_", index->keys[i].path,
                             direction);
  }
}

void mongo_index_spec(const struct mongo_index *index, bool plain, bson_t *out) {
  char name[256];
  bson_t key;
  mongo_index_name(index, name, sizeof name);
  bson_append_document_begin(out, "key", -1, &key);
  for (size_t i = 0; i < key_count(index); i++) {
    if (is_text(index))
      bson_append_utf8(&key, index->keys[i].path, -1, "text", -1);
    else
      bson_append_int32(&key, index->keys[i].path, -1, index->keys[i].direction);
  }
  bson_append_document_end(out, &key);
  bson_append_utf8(out, "name", -1, name, -1);
  if (index->unique && !plain) bson_append_bool(out, "unique", -1, true);
  if (index->sparse && !plain) bson_append_bool(out, "sparse", -1, true);
  if (is_text(index)) bson_append_utf8(out, "language_override", -1, language_field, -1);
}

/* ---- what a server lists ---- */

static bool flag_of(const bson_t *listed, const char *name) {
  bson_iter_t at;
  return bson_iter_init_find(&at, listed, name) && bson_iter_as_bool(&at);
}

static bool has(const bson_t *listed, const char *name) {
  bson_iter_t at;
  return bson_iter_init_find(&at, listed, name);
}

static bool open_document(const bson_t *listed, const char *name, bson_iter_t *inside) {
  bson_iter_t at;
  return bson_iter_init_find(&at, listed, name) && BSON_ITER_HOLDS_DOCUMENT(&at) &&
         bson_iter_recurse(&at, inside);
}

static bool same_keys(const struct mongo_index *index, const bson_t *listed) {
  bson_iter_t at;
  size_t n = 0;
  if (!open_document(listed, "key", &at)) return false;
  for (; bson_iter_next(&at); n++) {
    if (n >= key_count(index) || strcmp(bson_iter_key(&at), index->keys[n].path) != 0) return false;
    if (!BSON_ITER_HOLDS_NUMBER(&at)) return false; /* "hashed", "text", "2dsphere" */
    if ((bson_iter_as_double(&at) < 0 ? -1 : 1) != index->keys[n].direction) return false;
  }
  return n == key_count(index);
}

static bool is_one_of(const struct mongo_index *index, const char *path) {
  for (size_t i = 0; i < key_count(index); i++)
    if (strcmp(index->keys[i].path, path) == 0) return true;
  return false;
}

/* MongoDB lists {_fts: "text", _ftsx: 1} and the paths as weights; other servers list the paths as keys. A collection
 * has one text index at most, so any other stands in the way. */
static enum mongo_index_fit text_fits(const struct mongo_index *index, const bson_t *listed) {
  bson_iter_t at, override;
  bool text = false;
  size_t n = 0;
  if (!open_document(listed, "key", &at)) return MONGO_INDEX_OTHER;
  while (bson_iter_next(&at))
    if (BSON_ITER_HOLDS_UTF8(&at) && strcmp(bson_iter_utf8(&at, NULL), "text") == 0) text = true;
  if (!text) return MONGO_INDEX_OTHER;
  if (!open_document(listed, "weights", &at) && !open_document(listed, "key", &at)) return MONGO_INDEX_UNFIT;
  for (; bson_iter_next(&at); n++)
    if (!is_one_of(index, bson_iter_key(&at))) return MONGO_INDEX_UNFIT;
  const bool own_language = bson_iter_init_find(&override, listed, "language_override") &&
                            BSON_ITER_HOLDS_UTF8(&override) &&
                            strcmp(bson_iter_utf8(&override, NULL), "language") != 0;
  return n == key_count(index) && own_language ? MONGO_INDEX_EXACT : MONGO_INDEX_UNFIT;
}

/* Unique over the documents that have a text there, which are all of ours. */
static bool only_where_it_exists(const bson_t *listed, const char *path) {
  bson_iter_t filter, condition;
  if (!has(listed, "partialFilterExpression")) return true;
  if (!open_document(listed, "partialFilterExpression", &filter) || !bson_iter_next(&filter) ||
      strcmp(bson_iter_key(&filter), path) != 0 || !BSON_ITER_HOLDS_DOCUMENT(&filter) ||
      !bson_iter_recurse(&filter, &condition) || !bson_iter_next(&condition))
    return false;
  const bool exists = strcmp(bson_iter_key(&condition), "$exists") == 0 && bson_iter_as_bool(&condition);
  return exists && !bson_iter_next(&condition) && !bson_iter_next(&filter);
}

/* Unique ones of a sharded collection: callLogId cannot be unique there, and needs not to be (its uniqueness follows
 * from its derivation); the leg's is the shard key's and not sparse. More keys in it would allow two documents of a
 * leg. */
static enum mongo_index_fit sharded_fits(const struct mongo_index *index, const bson_t *listed) {
  const bool may_be_plain = index == &mongo_indexes[MONGO_INDEX_CALL_LOG_ID];
  const bool covers = only_where_it_exists(listed, index->keys[0].path);
  return covers && (may_be_plain || flag_of(listed, "unique")) ? MONGO_INDEX_EXACT : MONGO_INDEX_UNFIT;
}

enum mongo_index_fit mongo_index_fits(const struct mongo_index *index, const bson_t *listed, bool sharded) {
  if (is_text(index)) return text_fits(index, listed);
  if (!same_keys(index, listed)) return MONGO_INDEX_OTHER;
  if (sharded && index->unique) return sharded_fits(index, listed);
  const bool plain = !has(listed, "partialFilterExpression") && !flag_of(listed, "hidden");
  const bool unique = flag_of(listed, "unique"), sparse = flag_of(listed, "sparse");
  /* For reading, a unique one would refuse what the application may write, and a sparse, partial or hidden one does
   * not serve every question. */
  if (plain && unique == index->unique && sparse == index->sparse) return MONGO_INDEX_EXACT;
  const bool covers = index->unique && unique && only_where_it_exists(listed, index->keys[0].path);
  return covers ? MONGO_INDEX_ENOUGH : MONGO_INDEX_UNFIT;
}

void mongo_index_see(enum mongo_index_fit *fit, const bson_t *listed, bool sharded) {
  for (size_t i = 0; i < mongo_index_count; i++) {
    const enum mongo_index_fit seen = mongo_index_fits(&mongo_indexes[i], listed, sharded);
    if (seen > fit[i]) fit[i] = seen;
  }
}
