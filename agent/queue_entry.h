/* A CallLog as an entry of the loader's queue (contract.md 5). Pure; thread: any. */
#ifndef AGENT_QUEUE_ENTRY_H
#define AGENT_QUEUE_ENTRY_H

#include <stdbool.h>
#include <stddef.h>

#include "store/redis_sinks.h"

/* The `entry` of struct redis_queue_options; `arg` and `leg` are not needed. 1; 0: the leg has not ended (and was never given up), the document
 * has no callLogId, or it is no document; -ENOMEM. Texts are malloc'ed, `id` and `updated_at` NULL when the document
 * has none (the local fold). Free with queue_entry_free(). */
int queue_entry(void *arg, const char *leg, const void *document, size_t bytes, bool is_bson,
                struct redis_queue_entry *out);
void queue_entry_free(struct redis_queue_entry *entry);

#endif
