#include "agent/notify.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { AGAIN_MS = 50 };

static bool is_address(struct notify *n, const char *name) {
  size_t bytes = name != NULL ? strlen(name) : 0;
  if (bytes < 2 || bytes >= sizeof n->to.sun_path || (name[0] != '/' && name[0] != '@')) return false;
  n->to.sun_family = AF_UNIX;
  memcpy(n->to.sun_path, name, bytes);
  if (name[0] == '@') n->to.sun_path[0] = '\0'; /* an abstract name: its length counts, no end */
  n->to_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + bytes + (name[0] == '/'));
  return true;
}

void notify_init(struct notify *n, uv_loop_t *loop) {
  memset(n, 0, sizeof *n);
  uv_timer_init(loop, &n->again);
  n->again.data = n;
  n->fd = -1;
  if (is_address(n, getenv("NOTIFY_SOCKET")))
    n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* False: the manager's queue is full. One that cannot be reached has its own ways to notice. */
static bool send_words(const struct notify *n, const char *words) {
  ssize_t sent =
      sendto(n->fd, words, strlen(words), MSG_NOSIGNAL, (const struct sockaddr *)&n->to, n->to_bytes);
  return sent >= 0 || (errno != EAGAIN && errno != ENOBUFS);
}

static bool pay(struct notify *n) {
  int paid = 0;
  while (paid < n->owed_count && send_words(n, n->owed[paid])) paid++;
  n->owed_count -= paid;
  memmove(n->owed, n->owed + paid, (size_t)n->owed_count * sizeof *n->owed);
  return n->owed_count == 0;
}

static void on_again(uv_timer_t *timer) {
  if (pay(timer->data)) uv_timer_stop(timer);
}

/* Words of one kind begin with the same name; the newest say all, so that no other kind is pushed out. */
static bool same_kind(const char *a, const char *b) {
  size_t name = strcspn(a, "=");
  return strncmp(a, b, name + 1) == 0;
}

static void owe(struct notify *n, const char *words) {
  int kept = 0;
  for (int i = 0; i < n->owed_count; i++)
    if (!same_kind(n->owed[i], words)) memmove(n->owed[kept++], n->owed[i], sizeof *n->owed);
  n->owed_count = kept;
  if (n->owed_count == NOTIFY_OWED_MAX)
    memmove(n->owed, n->owed + 1, (size_t)--n->owed_count * sizeof *n->owed);
  snprintf(n->owed[n->owed_count++], sizeof *n->owed, "%s", words);
  uv_timer_start(&n->again, on_again, AGAIN_MS, AGAIN_MS);
}

void notify_say(struct notify *n, const char *words) {
  if (n->fd >= 0 && !(pay(n) && send_words(n, words))) owe(n, words);
}

void notify_close(struct notify *n, void *data, uv_close_cb closed) {
  if (n->fd >= 0) {
    pay(n);
    close(n->fd);
  }
  n->again.data = data;
  uv_close((uv_handle_t *)&n->again, closed);
}
