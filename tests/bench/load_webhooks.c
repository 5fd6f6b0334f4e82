/* Open-loop HTTP load: requests prepared by somebody else, sent at fixed moments over keep-alive connections, one at a time
 * a connection. A request's time counts from the moment it was due, not from when a connection was free: a server that
 * stalls is charged for all who waited.
 *
 *   load_webhooks HOST PORT RATE CONNECTIONS FILE      FILE: 4 bytes of length (big-endian) and the request, repeated
 *
 * Prints one line: sent, answered 200, answered otherwise, broken connections, p50, p99, p99.9 and longest in ms. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 1024, ANSWER_MAX = 4096, LAST_ANSWER_S = 20 };

struct request {
  const char *bytes;
  size_t length;
};

struct connection {
  int fd;
  size_t request; /* the one that waits for its answer */
  bool busy;
  char answer[ANSWER_MAX];
  size_t got;
};

static struct request *requests;
static size_t request_count, answered, refused, broken;
static int64_t *took_us;
static struct connection connections[CONNECTIONS_MAX];
static struct pollfd polled[CONNECTIONS_MAX];
static struct sockaddr_in server;
static int64_t begin_us;
static double rate;

static void die(const char *what) {
  fprintf(stderr, "load_webhooks: %s: %s\n", what, strerror(errno));
  exit(1);
}

static int64_t now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t due_us(size_t request) {
  return begin_us + (int64_t)((double)request * 1e6 / rate);
}

static void read_requests(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file || fseek(file, 0, SEEK_END) != 0) die(path);
  long size = ftell(file);
  char *bytes = malloc((size_t)size + 1);
  rewind(file);
  if (size <= 0 || !bytes || fread(bytes, 1, (size_t)size, file) != (size_t)size) die(path);
  fclose(file);
  for (int pass = 0; pass < 2; pass++) {
    request_count = 0;
    for (size_t at = 0; at + 4 <= (size_t)size;) {
      uint32_t length;
      memcpy(&length, bytes + at, 4);
      at += 4;
      if (pass == 1) requests[request_count] = (struct request){bytes + at, ntohl(length)};
      request_count++;
      at += ntohl(length);
    }
    if (pass == 0) requests = calloc(request_count, sizeof *requests);
    if (!requests) die("memory");
  }
  took_us = calloc(request_count, sizeof *took_us);
  if (!took_us) die("memory");
}

static void connect_one(size_t i) {
  int one = 1;
  connections[i] = (struct connection){.fd = socket(AF_INET, SOCK_STREAM, 0)};
  if (connections[i].fd < 0) die("socket");
  if (connect(connections[i].fd, (struct sockaddr *)&server, sizeof server) != 0) die("connect");
  setsockopt(connections[i].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  polled[i] = (struct pollfd){.fd = connections[i].fd, .events = POLLIN};
}

static void send_on(size_t i, size_t request) {
  struct connection *c = &connections[i];
  c->busy = true;
  c->request = request;
  c->got = 0;
  /* A request is smaller than a socket's buffer, and the connection is idle: it is taken whole. */
  ssize_t sent = send(c->fd, requests[request].bytes, requests[request].length, MSG_NOSIGNAL);
  if (sent == (ssize_t)requests[request].length) return;
  broken++;
  close(c->fd);
  connect_one(i);
}

/* The answers have an empty body: the blank line ends them. */
static void take_answer(size_t i) {
  struct connection *c = &connections[i];
  ssize_t got = recv(c->fd, c->answer + c->got, ANSWER_MAX - 1 - c->got, 0);
  if (got <= 0) {
    broken += c->busy;
    close(c->fd);
    connect_one(i);
    return;
  }
  c->got += (size_t)got;
  c->answer[c->got] = '\0';
  if (!strstr(c->answer, "\r\n\r\n")) return;
  bool good = strncmp(c->answer, "HTTP/1.1 200", 12) == 0;
  if (good) took_us[answered++] = now_us() - due_us(c->request);
  refused += !good;
  c->busy = false;
}

static size_t send_due(size_t next, size_t count) {
  for (size_t i = 0; i < count && next < request_count && due_us(next) <= now_us(); i++)
    if (!connections[i].busy) send_on(i, next++);
  return next;
}

static void run(size_t count) {
  size_t next = 0;
  begin_us = now_us();
  int64_t end_us = due_us(request_count) + LAST_ANSWER_S * INT64_C(1000000);
  while (answered + refused + broken < request_count && now_us() < end_us) {
    next = send_due(next, count);
    int64_t wait_us = next < request_count ? due_us(next) - now_us() : 10000;
    struct timespec wait = {.tv_nsec = wait_us < 0 ? 0 : wait_us > 10000 ? 10000000 : wait_us * 1000};
    if (ppoll(polled, count, &wait, NULL) < 0 && errno != EINTR) die("ppoll");
    for (size_t i = 0; i < count; i++)
      if (polled[i].revents) take_answer(i);
  }
}

static int by_value(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static double share_ms(double share) {
  if (answered == 0) return 0;
  size_t at = (size_t)(share * (double)answered);
  return (double)took_us[at < answered ? at : answered - 1] / 1000;
}

int main(int argc, char **argv) {
  size_t count = argc == 6 ? strtoul(argv[4], NULL, 10) : 0;
  if (count < 1 || count > CONNECTIONS_MAX) {
    fprintf(stderr, "usage: load_webhooks HOST PORT RATE CONNECTIONS FILE\n");
    return 2;
  }
  server =
      (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10))};
  rate = strtod(argv[3], NULL);
  if (inet_pton(AF_INET, argv[1], &server.sin_addr) != 1 || rate <= 0) die("HOST or RATE");
  read_requests(argv[5]);
  for (size_t i = 0; i < count; i++) connect_one(i);
  run(count);
  qsort(took_us, answered, sizeof *took_us, by_value);
  printf("sent=%zu ok=%zu refused=%zu broken=%zu p50_ms=%.3f p99_ms=%.3f p999_ms=%.3f max_ms=%.3f\n",
         request_count, answered, refused, broken, share_ms(0.5), share_ms(0.99), share_ms(0.999),
         share_ms(1));
  return 0;
}
