/* Any bytes as the body of a webhook. Whatever jansson reads, json_read() reads with the same values; only a NUL
 * behind the value, which jansson takes for the end, is refused. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "telnyx/event.h"
#include "telnyx/json.h"

static void must(bool fine) {
  if (!fine) abort();
}

static void compare_with_jansson(const char *text, size_t size) {
  char why[200] = "";
  json_t *ours = json_read(text, size, why, sizeof why);
  json_t *theirs = json_loadb(text, size, JSON_DECODE_ANY, NULL);
  must((ours != NULL) == (*why == '\0'));
  bool has_nul = memchr(text, '\0', size) != NULL;
  must(!has_nul || !ours);
  if (theirs && !has_nul && !strstr(why, "deeper than")) must(json_equal(ours, theirs));
  json_decref(ours);
  json_decref(theirs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *body = (const char *)data;
  struct event event;
  char why[200] = "";
  compare_with_jansson(body, size);
  if (event_parse(body, size, &event, why, sizeof why) == 0) {
    must(event.root && json_is_object(event.payload));
    must(event.id && *event.id != '\0' && event.type && *event.type != '\0');
    must((event.row != NULL && event.row->kind == event.kind) || event.kind == EVENT_UNKNOWN);
    must(event.attempt >= 1);
  } else {
    must(event.root == NULL && *why != '\0' && memchr(why, '\0', sizeof why) != NULL);
  }
  event_release(&event);
  return 0;
}
