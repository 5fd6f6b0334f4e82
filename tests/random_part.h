/* A media part with random facts of plausible and implausible size, for round trips and merges. */
#ifndef TESTS_RANDOM_PART_H
#define TESTS_RANDOM_PART_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/part.h"

static inline uint64_t random_count(void) {
  return (uint64_t)rand() >> (rand() % 31);
}

static inline void random_members(const struct field *fields, size_t field_count, void *base) {
  for (size_t f = 0; f < field_count; f++)
    for (size_t i = 0; i < fields[f].count; i++) {
      if (fields[f].count > 8 && rand() % 20) continue; /* histograms are mostly empty */
      char *word = (char *)base + fields[f].offset + i * sizeof(uint64_t);
      uint64_t u = random_count();
      int64_t s = (int64_t)u - 1000;
      double d = (double)s / 7;
      if (fields[f].type == FIELD_U64) memcpy(word, &u, sizeof u);
      if (fields[f].type == FIELD_I64) memcpy(word, &s, sizeof s);
      if (fields[f].type == FIELD_F64) memcpy(word, &d, sizeof d);
    }
}

static inline struct delivery_facts *random_delivery(void) {
  struct delivery_facts *facts = calloc(1, sizeof *facts);
  random_members(delivery_fields, delivery_field_count, facts);
  facts->window_count = (uint64_t)rand() % 20;
  facts->window_us = facts->window_count ? 10000000 : 0;
  facts->chunk_scope = (uint64_t)rand() % (CHUNK_SHARED + 1);
  facts->ts_unit = (uint64_t)rand() % (TS_FRAMES + 1);
  facts->ie_basis = (uint64_t)rand() % (IE_NONE + 1);
  for (size_t i = 0; i < facts->window_count; i++) {
    random_members(delivery_window_fields, delivery_window_field_count, &facts->windows[i]);
    facts->windows[i].start_us = (int64_t)i * 10000000;
  }
  return facts;
}

static inline struct speech_facts *random_speech(void) {
  struct speech_facts *facts = calloc(1, sizeof *facts);
  random_members(speech_fields, speech_field_count, facts);
  facts->present[0] = facts->present[1] = 1;
  facts->event_count = (uint64_t)rand() % 30;
  facts->events_total = facts->event_count;
  for (size_t i = 0; i < facts->event_count; i++)
    facts->events[i] = (struct speech_event){.kind = (uint8_t)(rand() % (SPEECH_ATTEMPT + 1)),
                                             .by = (int8_t)(rand() % 3 - 1),
                                             .start_ms = (uint32_t)(i * 1000),
                                             .overlap_ms = (uint32_t)rand()};
  return facts;
}

static inline struct finding_facts *random_findings(void) {
  struct finding_facts *facts = calloc(1, sizeof *facts);
  facts->cut = random_count();
  facts->row_count = (uint64_t)rand() % (FINDING_ROWS_MAX / 4);
  for (size_t i = 0; i < facts->row_count; i++)
    facts->rows[i] = (struct finding_row){.kind = (uint64_t)rand() % FINDING_KINDS,
                                          .track = rand() % 3 - 1,
                                          .severity = (uint64_t)rand() % (FINDING_CRITICAL + 1),
                                          .start_ms = rand() % 100000,
                                          .end_ms = rand() % 2 ? -1 : 100000 + rand() % 1000,
                                          .value = rand() % 3 ? rand() / 7.0 : 0,
                                          .detail = rand() % 100};
  return facts;
}

static inline struct part *random_part(const char *id) {
  struct part *part = part_new();
  snprintf(part->id, sizeof part->id, "%s", id);
  part->n = 1 + random_count();
  part->state = (enum part_state)(rand() % 3);
  part->opened_ms = 1789373698000 + rand() % 100000;
  part->start_ms = part->opened_ms + rand() % 1000;
  part->first_frame_ms = part->start_ms + rand() % 1000;
  part->last_frame_ms = part->first_frame_ms + rand() % 100000;
  part->closed_ms = part->state == PART_OPEN ? 0 : part->last_frame_ms + rand() % 1000;
  strcpy(part->stream_id, "7b0e6a52");
  strcpy(part->call_control_id, "v3:leg-A");
  if (rand() % 2) strcpy(part->from, "+15550100001");
  if (rand() % 2) part->client_state = strdup(rand() % 2 ? "ZWRnZS03" : "");
  for (int t = 0; t < TRACK_COUNT; t++) {
    part->track[t].seen = rand() % 4 != 0;
    if (!part->track[t].seen) continue;
    strcpy(part->track[t].encoding, "PCMU");
    part->track[t].sample_rate_hz = 8000;
    part->track[t].ptime_us = 20000;
    part->track[t].payload_bytes = random_count();
    part->track[t].delivery = random_delivery();
    if (rand() % 4) {
      part->track[t].signal = calloc(1, sizeof(struct signal_facts));
      random_members(signal_fields, signal_field_count, part->track[t].signal);
    }
    part->track[t].chunk_scope = (uint8_t)part->track[t].delivery->chunk_scope;
    part->track[t].ts_unit = (uint8_t)part->track[t].delivery->ts_unit;
  }
  if (rand() % 4) part->speech = random_speech();
  if (rand() % 2) random_members(echo_fields, echo_field_count, &part->echo);
  if (rand() % 2) random_members(socket_fields, socket_field_count, &part->socket);
  if (rand() % 3) part->findings = random_findings();
  part->parse_errors = random_count();
  part->messages_missing = random_count();
  part->formats = 1;
  if (rand() % 2)
    json_array_append_new(part->dtmf,
                          json_pack("{s:s, s:I}", "digit", "5", "at_ms", (json_int_t)part->start_ms));
  if (rand() % 2)
    json_array_append_new(part->errors, json_pack("{s:i, s:s}", "code", 100004, "title", "invalid_media"));
  return part;
}

#endif
