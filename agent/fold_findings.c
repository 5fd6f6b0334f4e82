/* Findings as issues: those that a part has measured, and those that only the leg as a whole can show
 * (voice-quality.md 8). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/fold_context.h"
#include "telnyx/json.h"

enum {
  DESCRIPTION_BYTES = 160,
  OUTAGE_MS = 2000, /* a stream that comes back sooner was not away: as of no media (5.6) and of the alert */
  ISSUES_MAX = 1000 /* of a leg; a part has 64 at most, and there may be hundreds of parts */
};

/* Two tracks may have the same finding at the same time, and the schema has no place for a track. */
static const char *describe(const struct finding_row *row, char *text, size_t size) {
  finding_describe(row, text, size);
  size_t used = strlen(text);
  if (row->track >= 0) snprintf(text + used, size - used, " (%s)", track_name((int)row->track));
  return text;
}

static void add(const struct fold_context *c, const struct part *part, const struct finding_row *row,
                int64_t zero_ms, json_t *issues) {
  char words[DESCRIPTION_BYTES];
  const struct fold_issue issue = {
      .part = part ? part->id : NULL,
      .track = row->track >= 0 ? track_name((int)row->track) : NULL,
      .finding = finding_name(row),
      .type = finding_type((enum finding_kind)row->kind),
      .severity = finding_severity_name((enum finding_severity)row->severity),
      .description = describe(row, words, sizeof words),
      .start_ms = zero_ms + row->start_ms,
      .resolved_ms = row->end_ms >= 0 ? zero_ms + row->end_ms : 0,
  };
  fold_add_issue(c, &issue, issues);
}

/* What may still change is shown live only (8.4): a finding is told when it has closed, or its part has
 * ended. */
static void add_of_part(const struct fold_context *c, const struct part *part, json_t *issues) {
  if (!part->findings) return;
  for (size_t i = 0; i < part->findings->row_count; i++) {
    const struct finding_row *row = &part->findings->rows[i];
    if (row->end_ms >= 0 || part->state != PART_OPEN) add(c, part, row, part->first_frame_ms, issues);
  }
}

json_t *fold_open_findings(const struct fold_context *c) {
  json_t *open = json_array();
  for (size_t i = 0; i < c->part_count; i++) {
    const struct part *part = c->parts[i];
    for (size_t k = 0; part->state == PART_OPEN && part->findings && k < part->findings->row_count; k++) {
      const struct finding_row *row = &part->findings->rows[k];
      if (row->end_ms < 0) add(c, part, row, part->first_frame_ms, open);
    }
  }
  if (json_array_size(open)) return open;
  json_decref(open);
  return NULL;
}

/* Between the last frame of all parts so far and the first of the next. */
static void add_outages(const struct fold_context *c, json_t *issues) {
  int64_t last_ms = 0;
  for (size_t i = 0; i < c->part_count; i++) {
    const struct part *part = c->parts[i];
    if (!part->first_frame_ms) continue;
    int64_t away_ms = part->first_frame_ms - last_ms;
    const struct finding_row row = {.kind = FINDING_STREAM_OUTAGE,
                                    .track = FINDING_BOTH_TRACKS,
                                    .severity = FINDING_CRITICAL,
                                    .end_ms = away_ms,
                                    .value = (double)away_ms,
                                    .detail = NAN};
    if (last_ms && away_ms > OUTAGE_MS) add(c, NULL, &row, last_ms, issues);
    if (part->last_frame_ms > last_ms) last_ms = part->last_frame_ms;
  }
}

/* The leg's sound has another bandwidth than the stream's format can carry, or is said to (1.7). */
static void add_mismatch(const struct fold_context *c, json_t *issues) {
  const char *name = fold_leg_codec(c);
  const struct codec *leg = codec_find(name, strlen(name), 0); /* one of those that can be streamed */
  for (size_t i = 0; leg && i < c->part_count; i++) {
    const struct part *part = c->parts[i];
    for (int t = 0; t < TRACK_COUNT; t++) {
      const struct codec *streamed = part_codec(part, t);
      if (!part->track[t].delivery || !streamed || streamed->sample_rate_hz == leg->sample_rate_hz) continue;
      const struct finding_row row = {.kind = FINDING_CODEC_MISMATCH,
                                      .track = t,
                                      .severity = FINDING_MEDIUM,
                                      .end_ms = -1,
                                      .value = leg->sample_rate_hz / 1e3,
                                      .detail = streamed->sample_rate_hz / 1e3};
      if (part->state != PART_OPEN) add(c, part, &row, part->first_frame_ms, issues);
    }
  }
}

/* ---- in order -------------------------------------------------------------------------------- */

struct order {
  int64_t at_ms;
  const char *id;
  json_t *row;
};

static int compare(const void *a, const void *b) {
  const struct order *x = a, *y = b;
  if (x->at_ms != y->at_ms) return x->at_ms < y->at_ms ? -1 : 1;
  return strcmp(x->id, y->id);
}

/* As a settle sorts them in the database. */
static json_t *in_order(const json_t *issues) {
  size_t count = json_array_size(issues);
  struct order *order = calloc(count + 1, sizeof *order);
  json_t *sorted = json_array();
  for (size_t i = 0; order && i < count; i++) {
    order[i].row = json_array_get(issues, i);
    const char *id = json_text(json_object_get(order[i].row, "_id"), "$oid");
    order[i].id = id ? id : ""; /* memory was refused: this document is not kept */
    document_date_ms(json_object_get(order[i].row, "timestamp"), &order[i].at_ms);
  }
  if (order) qsort(order, count, sizeof *order, compare);
  for (size_t i = 0; order && i < count && i < ISSUES_MAX; i++) json_array_append(sorted, order[i].row);
  free(order);
  return sorted;
}

json_t *fold_findings(const struct fold_context *c, json_t *issues) {
  for (size_t i = 0; i < c->part_count; i++) add_of_part(c, c->parts[i], issues);
  add_outages(c, issues);
  add_mismatch(c, issues);
  json_t *sorted = in_order(issues);
  json_decref(issues);
  return sorted;
}
