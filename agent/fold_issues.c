/* Rows of quality.issues[]: what was found wrong with a call, in the words that the schema has (voice-quality.md
 * 8, data-model.md 1.2 and 8.4). */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/buffer.h"
#include "agent/fold_context.h"
#include "telnyx/hex.h"

enum { ISSUE_ID_BYTES = 12 };

/* A settle pushes and pulls rows by their `_id` and changes none, so it is made of all that a row says, not of its leg,
 * part, track, finding and start alone: a row of the leg as a whole may say something else once more facts are
 * there. */
static json_t *id_of(const struct fold_context *c, const struct fold_issue *issue) {
  const char *const texts[] = {c->facts->leg, issue->part,     issue->track,      issue->finding,
                               issue->type,   issue->severity, issue->description};
  char hex[ISSUE_ID_BYTES * 2 + 1];
  struct buffer b = {0};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    buffer_printf(&b, "%s\n", texts[i] ? texts[i] : "");
  buffer_printf(&b, "%" PRId64 "\n%" PRId64, issue->start_ms, issue->resolved_ms);
  hex_of_sha256(b.data ? b.data : "", b.bytes, ISSUE_ID_BYTES, hex);
  free(b.data);
  return document_oid(hex);
}

void fold_add_issue(const struct fold_context *c, const struct fold_issue *issue, json_t *issues) {
  json_t *row = json_object();
  json_object_set_new(row, "_id", id_of(c, issue));
  document_put_text(row, "type", issue->type);
  document_put_text(row, "severity", issue->severity);
  document_put_date(row, "timestamp", issue->start_ms);
  document_put_text(row, "description", issue->description);
  json_object_set_new(row, "resolved", json_boolean(issue->resolved_ms));
  if (issue->resolved_ms) document_put_date(row, "resolvedAt", issue->resolved_ms);
  json_array_append_new(issues, row);
}

/* ---- the rating ------------------------------------------------------------------------------ */

#define CRITICAL_COSTS 0.5

/* Voice-quality.md 8. Of a call that has ended: until then more may be found. */
void fold_put_rating(const struct fold_context *c, json_t *quality, const json_t *issues) {
  const json_t *mos = json_object_get(quality, "mos");
  if (!mos || !c->state.ended) return;
  double rating = round(json_number_value(mos) * 2) / 2;
  for (size_t i = 0; i < json_array_size(issues); i++) {
    const char *severity = json_string_value(json_object_get(json_array_get(issues, i), "severity"));
    if (severity && !strcmp(severity, "critical")) rating -= CRITICAL_COSTS;
  }
  document_put_real(quality, "overallRating", rating < 1 ? 1 : rating, 1);
  document_put_text(quality, "ratedBy", "system");
  document_put_date(quality, "ratedAt", c->state.ended_ms);
}
