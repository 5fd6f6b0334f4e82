/* The CallLog as jansson values in relaxed Extended JSON: making its leaves, rounding its numbers,
 * printing it. Pure; thread: any.
 *
 * A field that is unknown is absent, so each document_put_*() leaves the key out when its value says
 * "unknown" (NULL or empty text, a number that is not finite). */
#ifndef AGENT_DOCUMENT_H
#define AGENT_DOCUMENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Digits after the point of figures in documents (contract.md 1). */
enum {
  DECIMALS_MOS = 2,
  DECIMALS_R = 4, /* shares, percentages and ratios too */
  DECIMALS_DB = 2,
  DECIMALS_MS = 1, /* and ppm */
  DECIMALS_S = 3
};
/* Half away from zero; never -0. */
double document_round(double value, int decimals);

/* {"$date": "2026-09-14T08:14:58.120Z"} */
json_t *document_date(int64_t epoch_ms);
/* Reads {"$date": text}, {"$date": {"$numberLong": text}}, {"$date": number}; false for anything else. */
bool document_date_ms(const json_t *date, int64_t *epoch_ms);
/* {"$oid": hex}; hex is 24 digits; written in lower case, as MongoDB does. */
json_t *document_oid(const char *hex);

void document_put_text(json_t *object, const char *key, const char *text);
void document_put_date(json_t *object, const char *key, int64_t epoch_ms);
void document_put_int(json_t *object, const char *key, int64_t value);
/* decimals < 0: not rounded. */
void document_put_real(json_t *object, const char *key, double value, int decimals);
/* Takes `value` over; leaves the key out when it is NULL or an empty object. */
void document_put_some(json_t *object, const char *key, json_t *value);

/* JSON text of a document: keys in order of insertion, doubles in the shortest form that reads back
 * equal ("3.0" when integral), UTF-8 as it is. Indented: two spaces a level. malloc'ed, ends in NUL;
 * `bytes` (may be NULL) is the length without it. NULL: no memory. */
char *document_text(const json_t *document, bool indented, size_t *bytes);

/* For jansson's readers that take no const. */
static inline json_t *document_reader(const json_t *value) {
  return (json_t *)(uintptr_t)value;
}

#endif
