/* Writes of a bulk, and what a server's answer says of each. Pure. Private to store/mongo*.c. */
#ifndef STORE_MONGO_REPLY_H
#define STORE_MONGO_REPLY_H

#include "store/mongo.h"
#include "store/mongo_driver.h"
#include "store/sink.h"

struct mongo_write {
  const struct mongo_op *op;
  bool upsert;
  enum { WRITE_ACKNOWLEDGED, WRITE_DUPLICATE, WRITE_FAILED } answer;
  struct sink_outcome
      *outcome; /* SINK_DONE before; filled when it failed or was a duplicate; may be shared */
  void *owner;  /* the caller's */
};
/* Of several failures that share an outcome the gentlest stays: what may yet succeed is not declared dead. */
void mongo_write_fail(struct mongo_write *w, const struct sink_outcome *outcome);

/* Reads the driver's reply to an unordered bulk that was not all well; sent[] are WRITE_ACKNOWLEDGED before. False: it
 * names no write and no write concern, so the command failed as a whole. `whole`: what befell all that are
 * not refused one by one (no majority, a server that stepped down amid them); SINK_DONE: nothing. */
bool mongo_reply_read(const bson_t *reply, struct mongo_write *const *sent, size_t count,
                      struct sink_outcome *whole);

#endif
