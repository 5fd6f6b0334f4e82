/* What is stored of a leg, on its way into the engine: its facts, and those that a finished CallLog holds. */
#include <string.h>

#include "agent/log.h"
#include "agent/serve.h"
#include "telnyx/json.h"

/* Facts of a leg, on their way into the engine. */
struct gathered {
  json_t **elements;
  struct part **parts;
  size_t element_count, part_count;
};

static bool gather_element(struct gathered *g, json_t *element) {
  json_t **grown = realloc(g->elements, (g->element_count + 1) * sizeof *grown);
  if (grown == NULL) return false;
  g->elements = grown;
  g->elements[g->element_count++] = json_incref(element);
  return true;
}

static bool gather_part(struct gathered *g, const json_t *json) {
  struct part *part = part_from_json(json);
  struct part **grown = part != NULL ? realloc(g->parts, (g->part_count + 1) * sizeof *grown) : NULL;
  if (grown == NULL) {
    part_free(part);
    return false;
  }
  g->parts = grown;
  g->parts[g->part_count++] = part;
  return true;
}

/* A finished CallLog holds the facts that it was folded from. */
static bool gather_of_calllog(struct gathered *g, const struct store_answer *answer) {
  json_t *document = json_read(answer->calllog, answer->calllog_bytes, NULL, 0), *element, *part;
  json_t *media =
      json_object_get(json_object_get(json_object_get(document, "metadata"), "sidetone"), "media");
  size_t i;
  const char *name;
  bool all = document != NULL;
  json_array_foreach(json_object_get(json_object_get(document, "telnyx"), "webhookEvents"), i, element) all =
      gather_element(g, element) && all;
  json_object_foreach(media, name, part) all = gather_part(g, part) && all;
  json_decref(document);
  return all;
}

void serve_give_facts(struct serve *s, const struct moment *at, const char *leg,
                      const struct store_answer *answer, const char *except, bool restart) {
  struct gathered g = {0};
  uint64_t refused = memory_refusals();
  if (answer->status == STORE_FAILED) { /* a leg that the engine knows is not asked for again */
    log_event(LOG_ERROR, leg, "what is stored of a leg could not be read", LOG_TEXT("reason", answer->error));
    return;
  }
  for (size_t i = 0; i < answer->fact_count; i++) {
    const struct store_fact *f = &answer->facts[i];
    if (except != NULL && !f->is_part && strcmp(f->id, except) == 0) continue;
    json_t *json = json_read(f->body, f->body_bytes, NULL, 0);
    bool taken = json != NULL && (f->is_part ? gather_part(&g, json) : gather_element(&g, json));
    if (!taken) log_event(LOG_ERROR, leg, "a stored fact cannot be read", LOG_TEXT("fact", f->id));
    json_decref(json);
  }
  if (answer->calllog != NULL && !gather_of_calllog(&g, answer)) {
    log_event(LOG_ERROR, leg, "the facts in a stored CallLog cannot be read");
  }
  if (memory_refusals() != refused) log_event(LOG_ERROR, leg, "no memory for all that is stored of a leg");
  engine_facts(s->engine, at, leg, g.elements, g.element_count, g.parts, g.part_count, restart);
  for (size_t i = 0; i < g.element_count; i++) json_decref(g.elements[i]);
  free(g.elements);
  free(g.parts);
}
