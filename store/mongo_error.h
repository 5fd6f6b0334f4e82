/* What an error of MongoDB or of its driver means for a row of the outbox (contract.md 8). Pure. Private to store/mongo*.c. */
#ifndef STORE_MONGO_ERROR_H
#define STORE_MONGO_ERROR_H

#include "store/mongo_driver.h"
#include "store/sink.h"

/* Code that a server gives for one write or a whole command. `message` may be NULL. */
void mongo_outcome_of_code(int32_t code, const char *message, struct sink_outcome *out);
/* Error of a call of the driver (error API version 2). `reply` may be NULL. `late`: the call took as long as the
 * socket's timeout, so what the driver calls a socket error was a timeout. */
void mongo_outcome_of_error(const bson_error_t *error, const bson_t *reply, bool late,
                            struct sink_outcome *out);
/* Cuts between characters: servers quote values of any length. */
void mongo_copy_text(char *out, size_t out_bytes, const char *text);
void mongo_outcome(struct sink_outcome *out, enum sink_result result, const char *kind, const char *reason);
bool mongo_is_duplicate_key(int32_t code);

#endif
