/* BSON and the relaxed Extended JSON of agent/document.h, both ways. The only file of agent that knows libbson.
 * Pure; thread: any.
 *
 * Written: integers as int32 when they fit, else int64; {"$numberLong": text} always as int64; reals as double;
 * {"$date"} and {"$oid"} in the forms of agent/document.h; text as it is, embedded NUL included. Any other object is a
 * document, whatever its keys.
 * Read: every type there is. int32 and int64 become integers, double a real. What JSON has no word for
 * takes its relaxed Extended JSON form ({"$numberDecimal"}, {"$binary"}, ...; a double that is not finite is
 * {"$numberDouble": "NaN"}). Text of others that is not UTF-8 keeps its well-formed characters, U+FFFD in place of
 * the rest. Dates within the years 0 to 9999 are RFC 3339, as the fold writes them, others {"$numberLong"}. */
#ifndef AGENT_BSON_H
#define AGENT_BSON_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* A malloc'ed block, which begins with its length. NULL: no object, a key with a NUL in it, over 2 GiB. */
uint8_t *bson_of_json(const json_t *object, size_t *bytes);
/* A new reference. NULL: not one whole BSON document, or no memory. */
json_t *bson_to_json(const uint8_t *document, size_t bytes);

#endif
