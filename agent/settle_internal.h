/* Shared by the files that write updates. */
#ifndef AGENT_SETTLE_INTERNAL_H
#define AGENT_SETTLE_INTERNAL_H

#include <jansson.h>

#include "agent/settle.h"

/* Where our notes on people's paths stand: copies of the values, tags, ids of issues that we wrote. */
#define SETTLE_WROTE "metadata.sidetone.wrote"
/* Set when a document of the application was joined. */
#define SETTLE_JOINED "metadata.sidetone.joined"

/* Makes BSON of both, which it takes over; NULL among them fails. Every update says when: `updatedAt`. False: `op` is
 * empty. */
bool settle_op(struct mongo_op *op, json_t *filter, json_t *update, bool upsert);
/* The value at a dotted path of members; NULL when there is none, or null. */
const json_t *settle_at(const json_t *document, const char *path);
/* It is there and null: an array that $push and $addToSet refuse, and $pull. */
bool settle_is_null(const json_t *document, const char *path);
/* Length of the shortest part of a path that the document has as something else than a document, so that
 * nothing can be written below it; 0: none. */
size_t settle_blocked(const json_t *document, const char *path);

/* The update of a settle while it is put together: dotted paths to values. */
struct settle_update {
  json_t *filter, *set, *unset, *add, *push, *pull; /* $addToSet, $push, $pull */
};

/* The three functions of struct mongo_folder; `arg` is a struct fold_options. */
int settle_fact(void *arg, const struct sink_row *row, struct mongo_fact *out);
int settle_lead_lookup(void *arg, const char *leg, const char *lead_id, const char *contact_id,
                       struct mongo_op *out);

/* Adds what concerns the paths that people write too. `document` as read, `folded` the fold of its facts. What one
 * update cannot say goes to out->second. False: no memory. */
bool settle_people(const char *leg, const json_t *document, const json_t *folded,
                   struct settle_update *update, struct mongo_settle *out);
/* Last: paths of which the update would leave empty documents are unset themselves. */
void settle_prune(const json_t *document, struct settle_update *update);

#endif
