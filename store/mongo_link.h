/* A connection to MongoDB: the URI with what ours fixes, a client that is made when it is needed and made anew after
 * the network failed, and the collection. For one thread. Private to store/mongo*.c. */
#ifndef STORE_MONGO_LINK_H
#define STORE_MONGO_LINK_H

#include <stdint.h>

#include "store/mongo.h"
#include "store/mongo_driver.h"
#include "store/sink.h"

struct mongo_link {
  mongoc_uri_t *uri;
  char *database, *name;      /* of the collection */
  int64_t socket_ms;          /* as it holds: of the URI, else of the options */
  mongoc_client_t *client;    /* NULL: not connected since the start or the last failure */
  mongoc_collection_t *calls; /* NULL with it */
};

/* Reads the URI, connects later. `try_once`: one look at the servers instead of looking until the time is over.
 * 0, or -1 with `why`, which never shows a part of the password. */
int mongo_link_init(struct mongo_link *l, const struct mongo_options *options, bool try_once, char *why,
                    size_t why_bytes);
void mongo_link_free(struct mongo_link *l);
/* Makes the client if there is none. 0, or -1 with the outcome. */
int mongo_link_open(struct mongo_link *l, struct sink_outcome *out);
/* Outcome of a failed call that began at `began_ms` (store/clock.h, monotonic). After a network failure the client is thrown
 * away: a new one looks names and SRV records up again and owes no pause to a server that is back. */
void mongo_link_failed(struct mongo_link *l, const bson_error_t *error, const bson_t *reply, int64_t began_ms,
                       struct sink_outcome *out);
/* Whole documents, or those fields, of the legs; of the primary. `count` legs at most MONGO_FIND_MAX. */
enum { MONGO_FIND_MAX = 256 };
mongoc_cursor_t *mongo_link_find(struct mongo_link *l, const char *const *legs, size_t count,
                                 const bson_t *projection);
/* Ends a cursor and looks whether it came to its end. 0, or -1 with the outcome. The link may be closed then. */
int mongo_link_end(struct mongo_link *l, mongoc_cursor_t *cursor, int64_t began_ms, struct sink_outcome *out);
/* 1: the collection is sharded; 0: it is not; -1 with `error`. Only a router knows of sharded collections. */
int mongo_link_is_sharded(struct mongo_link *l, bson_error_t *error);
/* The leg of such a document; lives as long as it. NULL: none. */
const char *mongo_leg_of(const bson_t *document);
void mongo_link_close(struct mongo_link *l);

#endif
