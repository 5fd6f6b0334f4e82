/* Words to the service manager as sd_notify(3) says them, without its wait: libsystemd's socket blocks while the
 * manager's queue is full (net.unix.max_dgram_qlen), and we speak from the loop that the calls belong to.
 *
 * Use: notify_init(), notify_say(), notify_close(); all in the loop's thread. Without NOTIFY_SOCKET, or with one
 * that is neither a path nor an abstract name, the words go nowhere. */
#ifndef AGENT_NOTIFY_H
#define AGENT_NOTIFY_H

#include <sys/socket.h>
#include <sys/un.h>
#include <uv.h>

enum { NOTIFY_WORDS_BYTES = 320, NOTIFY_OWED_MAX = 8 };

/* Its members are its own. */
struct notify {
  int fd; /* -1: nobody listens */
  struct sockaddr_un to;
  socklen_t to_bytes;
  uv_timer_t again;
  char owed[NOTIFY_OWED_MAX][NOTIFY_WORDS_BYTES]; /* oldest first */
  int owed_count;
};

void notify_init(struct notify *n, uv_loop_t *loop);
/* Said later, in order, when the manager's queue is full now; of one kind (what is before the first =) the newest. */
void notify_say(struct notify *n, const char *words);
/* What is still owed goes if it can. `closed` is called with the timer, whose data is `data`, on the loop's next turn. */
void notify_close(struct notify *n, void *data, uv_close_cb closed);

#endif
