#include <stdio.h>
#include <stdlib.h>

#include "store/clock.h"
#include "store/mongo_error.h"
#include "store/mongo_link.h"

struct mongo_reader {
  struct mongo_link link;
  bson_t *without; /* projection of what the queue leaves out */
};

int mongo_reader_create(struct mongo_reader **out, const struct mongo_options *options, char *why,
                        size_t why_bytes) {
  struct mongo_reader *r = calloc(1, sizeof *r);
  *out = NULL;
  if (r == NULL) {
    snprintf(why, why_bytes, "out of memory");
    return -1;
  }
  if (mongo_link_init(&r->link, options, false, why, why_bytes) != 0) {
    free(r);
    return -1;
  }
  r->without = BCON_NEW("telnyx.webhookEvents", BCON_INT32(0), "telnyx.apiResponse", BCON_INT32(0),
                        "metadata.sidetone.media", BCON_INT32(0), "metadata.sidetone.speech.events",
                        BCON_INT32(0), "metadata.sidetone.quality.delivery.inbound.windows", BCON_INT32(0),
                        "metadata.sidetone.quality.delivery.outbound.windows", BCON_INT32(0),
                        "transcription.fullText", BCON_INT32(0), "transcription.turns", BCON_INT32(0));
  *out = r;
  return 0;
}

void mongo_reader_free(struct mongo_reader *r) {
  if (r == NULL) return;
  mongo_link_free(&r->link);
  bson_destroy(r->without);
  free(r);
}

int mongo_reader_get(struct mongo_reader *r, const char *const *legs, size_t count, bool whole,
                     void (*document)(void *arg, const char *leg, const uint8_t *bson, size_t bytes),
                     void *arg, struct sink_outcome *outcome) {
  const bson_t *found;
  *outcome = (struct sink_outcome){.result = SINK_DONE};
  for (size_t done = 0; done < count;) {
    const size_t some = count - done < MONGO_FIND_MAX ? count - done : MONGO_FIND_MAX;
    if (mongo_link_open(&r->link, outcome) != 0) return -1;
    const int64_t began_ms = monotonic_ms();
    mongoc_cursor_t *cursor = mongo_link_find(&r->link, &legs[done], some, whole ? NULL : r->without);
    while (mongoc_cursor_next(cursor, &found)) {
      const char *leg = mongo_leg_of(found);
      if (leg != NULL) document(arg, leg, bson_get_data(found), found->len);
    }
    if (mongo_link_end(&r->link, cursor, began_ms, outcome) != 0) return -1;
    done += some;
  }
  return 0;
}
