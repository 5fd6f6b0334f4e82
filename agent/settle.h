/* What the updates of the MongoDB sink say (data-model.md 8.4): facts as writes, documents as settles. Pure
 * functions between the outbox's JSON and BSON; store/mongo.h sends them. Thread: any. */
#ifndef AGENT_SETTLE_H
#define AGENT_SETTLE_H

#include "agent/fold.h"
#include "store/mongo.h"

/* `options` must outlive the folder. With `lead_lookup` a settle asks for the look-up of 8.1. */
struct mongo_folder settle_folder(const struct fold_options *options, bool lead_lookup);

#endif
