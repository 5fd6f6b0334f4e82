/* Between batches: the group, and a tail that Redis has lost (contract.md 5). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/clock.h"
#include "store/redis_internal.h"
#include "store/redis_queue_internal.h"

enum { LOOK_EVERY_MS = 10000, TRIM_EVERY_MS = 60000 };

static const char group[] = "loader";

void redis_queue_trouble(struct redis_queue *q, const char *what, const struct redis_reply *reply) {
  char text[sizeof q->stats.trouble] = "";
  if (reply == NULL) return; /* away: that is said elsewhere */
  if (reply->kind == REDIS_ERROR) {
    bool old = strstr(reply->text, "syntax") != NULL;
    snprintf(text, sizeof text, "%s: %.120s%s", what, reply->text,
             old ? " (Redis 6.2 or later is needed)" : "");
  }
  pthread_mutex_lock(&q->lock);
  if ((text[0] != '\0') != (q->stats.trouble[0] != '\0'))
    q->stats.trouble_since_ms = text[0] != '\0' ? wall_ms() : 0;
  memcpy(q->stats.trouble, text, sizeof text);
  pthread_mutex_unlock(&q->lock);
}

static const char looking[] = "outbox", making[] = "group loader";

/* What a look was refused holds until one is not; what trimming was, until the next one. */
static void look_is_well(struct redis_queue *q) {
  pthread_mutex_lock(&q->lock);
  if (strncmp(q->stats.trouble, looking, sizeof looking - 1) == 0 ||
      strncmp(q->stats.trouble, making, sizeof making - 1) == 0) {
    q->stats.trouble[0] = '\0';
    q->stats.trouble_since_ms = 0;
  }
  pthread_mutex_unlock(&q->lock);
}

static void go_back_to(struct redis_queue *q, int64_t row) {
  if (q->go_back < 0 || row < q->go_back) q->go_back = row;
  pthread_mutex_lock(&q->lock);
  q->stats.tails_lost++;
  pthread_mutex_unlock(&q->lock);
}

bool redis_queue_compare(struct redis_queue *q, bool has_row, int64_t row, int64_t additions) {
  bool lost = (!has_row && q->row > 0) || (has_row && row < q->row) || additions < q->additions_sent;
  if (lost) go_back_to(q, has_row ? row : 0);
  q->row = has_row ? row : 0;
  q->additions_sent = additions;
  return !lost;
}

/* The first look of this process: the cursor is all that is known of what was sent. Rows above it may be in the
 * queue behind a stuck one; whether Redis still has those cannot be told, so they go again. */
static void compare_first(struct redis_queue *q, bool has_row, int64_t row, int64_t additions,
                          int64_t cursor) {
  q->known = true;
  q->row = has_row ? row : 0;
  q->additions_sent = additions;
  if (cursor <= 0) return;
  if (q->row < cursor) {
    go_back_to(q, q->row);
  } else {
    q->go_back = cursor;
  }
}

static bool make_group(struct redis_queue *q) {
  const char *const argv[] = {"XGROUP", "CREATE", q->stream, group, "0", "MKSTREAM"};
  const struct redis_reply *reply = redis_ask(q->redis, 6, argv, NULL);
  if (reply == NULL) return false;
  if (reply->kind != REDIS_ERROR || strncmp(reply->text, "BUSYGROUP", 9) == 0) {
    look_is_well(q);
    return true;
  }
  redis_queue_trouble(q, making, reply);
  return false;
}

static bool look(struct redis_queue *q, int64_t cursor) {
  const char *const argv[] = {"HMGET", q->outbox, q->options.agent_id, q->additions};
  const struct redis_reply *reply = redis_ask(q->redis, 4, argv, NULL);
  if (reply == NULL) return false;
  if (reply->kind != REDIS_ARRAY || reply->count != 2) {
    redis_queue_trouble(q, looking, reply);
    redis_classify(reply, &q->look_fault);
    return false;
  }
  bool has_row = reply->items[0].kind == REDIS_TEXT;
  int64_t row = has_row ? atoll(reply->items[0].text) : 0;
  int64_t additions = reply->items[1].kind == REDIS_TEXT ? atoll(reply->items[1].text) : 0;
  if (q->known) {
    redis_queue_compare(q, has_row, row, additions);
  } else {
    compare_first(q, has_row, row, additions, cursor);
  }
  return make_group(q);
}

static int64_t take_go_back(struct redis_queue *q) {
  int64_t row = q->go_back;
  q->go_back = -1;
  return row;
}

int64_t redis_queue_look_after(struct redis_queue *q, int64_t cursor) {
  bool fresh;
  int64_t now_ms = monotonic_ms();
  if (!redis_ready(q->redis, &fresh)) return take_go_back(q);
  if (fresh || q->looked_ms == 0 || now_ms - q->looked_ms >= LOOK_EVERY_MS) {
    q->looked_ms = look(q, cursor) ? now_ms : 0;
  }
  if (q->looked_ms != 0 && (q->trimmed_ms == 0 || now_ms - q->trimmed_ms >= TRIM_EVERY_MS)) {
    q->trimmed_ms = now_ms;
    redis_queue_trim(q);
  }
  return take_go_back(q);
}
