#include "agent/hold.h"

#include <stdlib.h>
#include <string.h>

bool hold_create(struct hold *h) {
  memset(h, 0, sizeof *h);
  h->frame = malloc(HOLD_FRAMES * sizeof *h->frame);
  h->payloads = malloc(HOLD_BYTES);
  return h->frame != NULL && h->payloads != NULL;
}

void hold_free(struct hold *h) {
  free(h->frame);
  free(h->payloads);
  memset(h, 0, sizeof *h);
}

bool hold_put(struct hold *h, const struct hold_frame *f, const uint8_t *payload) {
  size_t bytes = f->event.payload_bytes;
  if (h->count == HOLD_FRAMES || bytes > HOLD_BYTES - h->used_bytes) return false;
  struct hold_frame *kept = &h->frame[h->count++];
  *kept = *f;
  kept->done = false;
  kept->offset = h->used_bytes;
  memcpy(h->payloads + h->used_bytes, payload, bytes);
  h->used_bytes += bytes;
  return true;
}

struct hold_frame *hold_at(struct hold *h, size_t index) {
  return index < h->count ? &h->frame[index] : NULL;
}

const uint8_t *hold_payload(const struct hold *h, const struct hold_frame *f) {
  return h->payloads + f->offset;
}

size_t hold_count(const struct hold *h, int track) {
  size_t count = 0;
  for (size_t i = 0; i < h->count; i++) count += h->frame[i].track == track && !h->frame[i].done;
  return count;
}

void hold_compact(struct hold *h) {
  size_t kept = 0, used = 0;
  for (size_t i = 0; i < h->count; i++) {
    struct hold_frame f = h->frame[i];
    if (f.done) continue;
    memmove(h->payloads + used, h->payloads + f.offset, f.event.payload_bytes);
    f.offset = used;
    used += f.event.payload_bytes;
    h->frame[kept++] = f;
  }
  h->count = kept;
  h->used_bytes = used;
}

bool hold_drop_oldest(struct hold *h) {
  if (h->count == 0) return false;
  h->frame[0].done = true;
  hold_compact(h);
  return true;
}

uint64_t hold_drop_before(struct hold *h, int track, int64_t arrival_us) {
  uint64_t dropped = 0;
  for (size_t i = 0; i < h->count; i++) {
    struct hold_frame *f = &h->frame[i];
    if (f->track != track || f->arrival_us >= arrival_us) continue;
    f->done = true;
    dropped++;
  }
  if (dropped > 0) hold_compact(h);
  return dropped;
}

uint64_t hold_clear(struct hold *h) {
  uint64_t dropped = h->count;
  h->count = 0;
  h->used_bytes = 0;
  return dropped;
}
