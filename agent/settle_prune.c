/* An update leaves no empty document behind: `$unset` of the last leaf of `billing` would leave `billing: {}`, which the
 * same facts in another order never make. So where nothing is left below a path, the path itself goes, and what was read
 * there stands in the filter: whoever wrote there meanwhile, an older settle or a person, makes the update find nothing,
 * and the document is read again. */
#include <string.h>

#include "agent/settle_internal.h"
#include "agent/settle_paths.h"

static bool is_below(const char *path, const char *parent, size_t parent_bytes) {
  return strncmp(path, parent, parent_bytes) == 0 && path[parent_bytes] == '.';
}

/* Is anything written at or below it? */
static bool is_written(const json_t *paths, const char *parent, size_t bytes) {
  for (void *i = json_object_iter(document_reader(paths)); i != NULL;
       i = json_object_iter_next(document_reader(paths), i)) {
    const char *path = json_object_iter_key(i);
    if (is_below(path, parent, bytes) || (strncmp(path, parent, bytes) == 0 && path[bytes] == '\0'))
      return true;
  }
  return false;
}

static bool stays(const struct settle_update *u, const char *parent, size_t bytes) {
  const json_t *operators[] = {u->set, u->add, u->push, u->pull};
  for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
    if (is_written(operators[i], parent, bytes)) return true;
  return false;
}

/* Every leaf below `path` is unset. */
static bool all_goes(const json_t *value, const json_t *unset, const char *path) {
  if (json_object_get(unset, path) != NULL) return true;
  if (!json_is_object(value) || json_object_get(value, "$date") || json_object_get(value, "$oid"))
    return false;
  for (void *i = json_object_iter(document_reader(value)); i != NULL;
       i = json_object_iter_next(document_reader(value), i)) {
    char below[SETTLE_PATH_BYTES];
    if ((size_t)snprintf(below, sizeof below, "%s.%s", path, json_object_iter_key(i)) >= sizeof below ||
        !all_goes(json_object_iter_value(i), unset, below))
      return false;
  }
  return true;
}

static void unset_whole(struct settle_update *u, const char *parent, const json_t *value) {
  size_t bytes = strlen(parent);
  void *next;
  for (void *i = json_object_iter(u->unset); i != NULL; i = next) {
    const char *path = json_object_iter_key(i);
    next = json_object_iter_next(u->unset, i);
    if (is_below(path, parent, bytes)) json_object_del(u->unset, path);
  }
  if (value != NULL) json_object_set_new(u->unset, parent, json_string(""));
  json_object_set_new(u->filter, parent, value != NULL ? json_incref(document_reader(value)) : json_null());
}

/* The outermost document above `path` of which nothing is left; false: each of them keeps something. */
static bool find_empty(const json_t *document, const struct settle_update *u, const char *path,
                       char parent[SETTLE_PATH_BYTES]) {
  for (const char *dot = strchr(path, '.'); dot != NULL; dot = strchr(dot + 1, '.')) {
    size_t bytes = (size_t)(dot - path);
    if (bytes >= SETTLE_PATH_BYTES || stays(u, path, bytes)) continue;
    memcpy(parent, path, bytes);
    parent[bytes] = '\0';
    const json_t *value = settle_at(document, parent);
    if (value == NULL || (json_is_object(value) && all_goes(value, u->unset, parent))) return true;
  }
  return false;
}

void settle_prune(const json_t *document, struct settle_update *u) {
  for (size_t i = 0; i < settle_path_count; i++) {
    char parent[SETTLE_PATH_BYTES];
    const char *path = settle_paths[i].path;
    if (json_object_get(u->unset, path) != NULL && find_empty(document, u, path, parent))
      unset_whole(u, parent, settle_at(document, parent));
  }
}
