/* Calls that carry media, as Telnyx brings them: a WebSocket a call, `connected`, `start`, media frames of
 * both tracks (or one) in real time, `stop`, close. All from one process that is light enough to run beside
 * what it loads.
 *
 *   load_media HOST PORT SECONDS PTIME_MS TRACKS WAV LEGS     LEGS: a file, a call_control_id a line
 *
 * The calls come up evenly over RAMP_S, each lasts SECONDS, and within a packet time their frames are spread
 * evenly, so the load has no beat; a wake-up sends what has come due, about a millisecond's worth. The sound
 * is that of WAV (stereo mu-law, 8 kHz), each call at a place of its own. A frame's text is made once a call:
 * sequence, chunk, timestamp and payload have a fixed width and are written over, and the mask key is 0 (RFC
 * 6455 5.3 leaves its choice to the client), so that masking is no work. It never blocks: where the socket
 * takes nothing, the call's frames of that packet time are skipped, as lost frames are (chunk and sequence go
 * on).
 *
 * Prints one line: sockets, frames sent and skipped, calls that broke off or were never closed, seconds, CPU
 * seconds of its own, how late frames were sent (p50, p99, longest, ms from when they were due: where that is
 * long, it had no core, and the load was not even), and how long after its own end the server closed the last
 * call (a server that kept up does so at once). */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "agent/rfc6455.h"
#include "telnyx/base64.h"

enum {
  RAMP_S = 2,
  LAST_WORDS_S = 60, /* for the server's half of the closing handshakes: it may have much to work off */
  SEND_BUFFER_BYTES = 65536, /* a second or two: more would hide that the server does not read */
  TICK_US = 1000,
  LATE_STEP_US = 50,
  LATE_STEPS = 400000, /* 20 s; later ones count as that */
  TRACKS = 2,
  PTIME_MAX_MS = 60,
  FRAME_MAX_BYTES = PTIME_MAX_MS * 8,
  PAYLOAD_MAX = (FRAME_MAX_BYTES + 2) / 3 * 4,
  TEXT_MAX = 300 + PAYLOAD_MAX,
  DIGITS = 8,
  LEG_MAX = 256,
  EVENTS_MAX = 64,
};

struct call {
  int fd; /* -1: gone */
  bool ended;
  char leg[LEG_MAX];
  size_t sound_at; /* frame of the sound at which it begins */
  char out[TRACKS * TEXT_MAX];
  size_t rest_at, rest_bytes; /* of `out`: what the socket has not taken */
  struct rfc6455 in;
};

/* Where in `out` the fields of a track's message are; the same for every call. */
static struct place { size_t begin, sequence, chunk, timestamp, payload; } places[TRACKS];
static const char *const track_names[TRACKS] = {"inbound", "outbound"};

static struct call *calls;
static size_t call_count, closed, cut;
static unsigned ptime_ms, track_count, packets; /* packets: of a track of a call */
static char (*sound[TRACKS])[PAYLOAD_MAX + 1];
static size_t sound_frames, payload_chars, out_bytes;
static uint64_t sent, skipped;
static int64_t begin_us;
static int epoll_fd, timer_fd;
static uint64_t late[LATE_STEPS]; /* turns by how late they were */

static void die(const char *what) {
  fprintf(stderr, "load_media: %s: %s\n", what, strerror(errno));
  exit(1);
}

static int64_t now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static double cpu_s(void) {
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
         (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6;
}

static void *need(void *memory) {
  if (!memory) die("memory");
  return memory;
}

/* ---- sound and legs ---- */

static uint8_t *read_file(const char *path, size_t *bytes) {
  FILE *file = fopen(path, "rb");
  if (!file || fseek(file, 0, SEEK_END) != 0) die(path);
  long size = ftell(file);
  uint8_t *out = need(malloc((size_t)size + 1));
  rewind(file);
  if (size <= 0 || fread(out, 1, (size_t)size, file) != (size_t)size) die(path);
  fclose(file);
  *bytes = (size_t)size;
  out[size] = '\0';
  return out;
}

/* The payloads of both sides, in base64. */
static void read_sound(const char *path) {
  size_t bytes, frame_bytes = ptime_ms * 8;
  uint8_t *wav = read_file(path, &bytes), one[FRAME_MAX_BYTES];
  const uint8_t *data = memmem(wav, bytes, "data", 4);
  errno = EINVAL;
  if (bytes < 44 || memcmp(wav, "RIFF", 4) != 0 || wav[20] != 7 || wav[22] != TRACKS || !data) die(path);
  data += 8;
  sound_frames = (size_t)(wav + bytes - data) / TRACKS / frame_bytes;
  if (sound_frames == 0) die(path);
  for (size_t track = 0; track < TRACKS; track++) {
    sound[track] = need(calloc(sound_frames, sizeof *sound[track]));
    for (size_t i = 0; i < sound_frames; i++) {
      const uint8_t *from = data + i * frame_bytes * TRACKS + track;
      for (size_t k = 0; k < frame_bytes; k++) one[k] = from[k * TRACKS];
      payload_chars = base64_encode(one, frame_bytes, sound[track][i]);
    }
  }
  free(wav);
}

static void read_legs(const char *path) {
  size_t bytes;
  char *text = (char *)read_file(path, &bytes), *save = NULL;
  for (char *at = text; (at = strchr(at, '\n')); at++) call_count++;
  calls = need(calloc(call_count, sizeof *calls));
  call_count = 0;
  for (char *leg = strtok_r(text, "\n", &save); leg; leg = strtok_r(NULL, "\n", &save)) {
    snprintf(calls[call_count].leg, LEG_MAX, "%s", leg);
    calls[call_count].sound_at = call_count * 37 % sound_frames;
    call_count++;
  }
  if (call_count == 0) die("LEGS is empty");
  free(text);
}

/* ---- messages ---- */

static size_t put_header(char *out, enum rfc6455_opcode opcode, size_t bytes) {
  static const uint8_t mask[4] = {0};
  return rfc6455_header((uint8_t *)out, opcode, bytes, mask);
}

static void put_digits(char *at, uint64_t value) {
  for (int i = DIGITS; i-- > 0; value /= 10) at[i] = (char)('0' + value % 10);
}

static size_t find(const char *text, size_t from, const char *key) {
  const char *at = strstr(text + from, key);
  return (size_t)(at - text) + strlen(key);
}

/* The media messages of a call, one behind the other; every call's have the same length. */
static void make_frames(size_t number) {
  char text[TEXT_MAX];
  char *out = calls[number].out;
  out_bytes = 0;
  for (size_t track = 0; track < track_count; track++) {
    size_t bytes = (size_t)snprintf(
        text, sizeof text,
        "{\"event\":\"media\",\"sequence_number\":\"%0*d\",\"stream_id\":\"00000000-0000-4000-"
        "8000-%012zx\",\"media\":{\"track\":\"%s\",\"chunk\":\"%0*d\",\"timestamp\":\"%0*d\","
        "\"payload\":\"%s\"}}",
        DIGITS, 0, number, track_names[track], DIGITS, 0, DIGITS, 0, sound[track][0]);
    size_t begin = out_bytes + put_header(out + out_bytes, RFC6455_OP_TEXT, bytes);
    memcpy(out + begin, text, bytes);
    places[track] = (struct place){.begin = begin,
                                   .sequence = begin + find(text, 0, "sequence_number\":\""),
                                   .chunk = begin + find(text, 0, "chunk\":\""),
                                   .timestamp = begin + find(text, 0, "timestamp\":\""),
                                   .payload = begin + find(text, 0, "payload\":\"")};
    out_bytes = begin + bytes;
  }
}

static void fill_frames(struct call *c, unsigned packet) {
  size_t at = (c->sound_at + packet) % sound_frames;
  for (size_t track = 0; track < track_count; track++) {
    const struct place *p = &places[track];
    put_digits(c->out + p->sequence, 2 + (uint64_t)packet * track_count + track); /* 1 is the start's */
    put_digits(c->out + p->chunk, 1 + packet);
    put_digits(c->out + p->timestamp, (uint64_t)packet * ptime_ms);
    memcpy(c->out + p->payload, sound[track][at], payload_chars);
  }
}

/* ---- sockets ---- */

static void lose(struct call *c) {
  if (c->fd < 0) return;
  close(c->fd);
  rfc6455_release(&c->in);
  c->fd = -1;
  closed++;
  cut += !c->ended;
}

/* Whole, or not at all and false; what a socket takes in part is sent on at its next turn. */
static bool send_out(struct call *c, size_t bytes) {
  ssize_t took = send(c->fd, c->out, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (took < 0 && errno != EAGAIN) lose(c);
  if (took < 0) return false;
  c->rest_at = (size_t)took;
  c->rest_bytes = bytes - (size_t)took;
  return true;
}

static bool send_rest(struct call *c) {
  if (c->rest_bytes == 0) return true;
  ssize_t took = send(c->fd, c->out + c->rest_at, c->rest_bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (took < 0 && errno != EAGAIN) lose(c);
  if (took <= 0) return false;
  c->rest_at += (size_t)took;
  c->rest_bytes -= (size_t)took;
  return c->rest_bytes == 0;
}

/* One message beside the media: rare, small, and the socket has room or the server has stalled for seconds. */
static void say(struct call *c, enum rfc6455_opcode opcode, const char *text, size_t bytes) {
  char out[RFC6455_HEADER_MAX_BYTES + 1024];
  size_t header = put_header(out, opcode, bytes);
  memcpy(out + header, text, bytes);
  if (send(c->fd, out, header + bytes, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)(header + bytes)) return;
  c->ended = false;
  lose(c);
}

static void say_start(size_t number) {
  static const char connected[] = "{\"event\":\"connected\",\"version\":\"1.0.0\"}";
  char text[1024];
  struct call *c = &calls[number];
  say(c, RFC6455_OP_TEXT, connected, sizeof connected - 1);
  int bytes = snprintf(
      text, sizeof text,
      "{\"event\":\"start\",\"sequence_number\":\"1\",\"stream_id\":\"00000000-0000-4000-8000-%012zx\","
      "\"start\":{"
      "\"user_id\":\"bench\",\"call_control_id\":\"%s\",\"from\":\"+15550100001\",\"to\":\"+15550100002\","
      "\"media_format\":{\"encoding\":\"PCMU\",\"sample_rate\":8000,\"channels\":1}}}",
      number, c->leg);
  if (c->fd >= 0) say(c, RFC6455_OP_TEXT, text, (size_t)bytes);
}

static void say_stop(size_t number) {
  char text[600];
  struct call *c = &calls[number];
  int bytes =
      snprintf(text, sizeof text,
               "{\"event\":\"stop\",\"sequence_number\":\"%llu\",\"stream_id\":\"00000000-0000-4000-8000-"
               "%012zx\",\"stop\":{\"user_id\":\"bench\",\"call_control_id\":\"%s\"}}",
               2 + (unsigned long long)packets * track_count, number, c->leg);
  if (send_rest(c)) say(c, RFC6455_OP_TEXT, text, (size_t)bytes);
  if (c->rest_bytes > 0) lose(c); /* no room for the last words: a broken connection, counted as cut */
  if (c->fd < 0) return;
  c->ended = true;
  say(c, RFC6455_OP_CLOSE, "", 0); /* no code: 1005, as a live test saw it */
}

static void open_call(size_t number, const struct sockaddr_in *server, const char *host) {
  struct call *c = &calls[number];
  char head[512];
  int one = 1, room = SEND_BUFFER_BYTES;
  c->fd = socket(AF_INET, SOCK_STREAM, 0);
  if (c->fd < 0) die("socket");
  if (connect(c->fd, (const struct sockaddr *)server, sizeof *server) != 0) die("connect");
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  int bytes =
      snprintf(head, sizeof head,
               "GET /telnyx/media HTTP/1.1\r\nHost: %s:%u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Key: c2lkZXRvbmUtbG9hZC1tZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
               host, ntohs(server->sin_port));
  if (send(c->fd, head, (size_t)bytes, MSG_NOSIGNAL) != bytes) die("send");
  size_t got = 0; /* nothing follows the answer's head: the server speaks only when pinged or asked */
  do {
    ssize_t more = recv(c->fd, head + got, sizeof head - 1 - got, 0);
    if (more <= 0) die("no answer to an upgrade");
    got += (size_t)more;
    head[got] = '\0';
  } while (!strstr(head, "\r\n\r\n"));
  errno = EPROTO;
  if (strncmp(head, "HTTP/1.1 101", 12) != 0) die(head);
  rfc6455_init(&c->in, RFC6455_CLIENT, 1024);
  make_frames(number);
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = number};
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event) != 0) die("epoll");
}

static void take_input(struct call *c) {
  char bytes[2048];
  struct rfc6455_item item;
  size_t used;
  ssize_t got = recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) {
    lose(c);
    return;
  }
  char *at = bytes;
  for (size_t left = (size_t)got; c->fd >= 0; at += used, left -= used) {
    enum rfc6455_kind kind = rfc6455_next(&c->in, at, left, &used, &item);
    if (kind == RFC6455_MORE) return;
    /* Not into the middle of a message: whoever reads nothing gets no pong. */
    if (kind == RFC6455_PING && c->rest_bytes == 0) say(c, RFC6455_OP_PONG, item.data, item.bytes);
    if (kind == RFC6455_CLOSE || kind == RFC6455_FAULT) lose(c);
  }
}

/* ---- time ---- */

/* Turn t is call t % N in packet time t / N: one after another, evenly. */
static int64_t due_us(uint64_t turn) {
  return begin_us + (int64_t)(turn * ptime_ms * 1000 / call_count);
}

static void take_turn(uint64_t turn) {
  size_t number = turn % call_count;
  struct call *c = &calls[number];
  uint64_t ramp = RAMP_S * 1000 / ptime_ms, first = number * ramp / call_count, now = turn / call_count;
  if (now < first || now > first + packets || c->fd < 0) return;
  unsigned packet = (unsigned)(now - first);
  if (packet == packets) {
    say_stop(number);
    return;
  }
  if (packet == 0) say_start(number);
  if (c->fd < 0) return;
  bool taken = send_rest(c);
  if (taken) {
    fill_frames(c, packet);
    taken = send_out(c, out_bytes);
  }
  *(taken ? &sent : &skipped) += track_count;
}

/* Until the next tick at the latest. */
static void wait_events(void) {
  struct epoll_event events[EVENTS_MAX];
  int count = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);
  if (count < 0 && errno != EINTR) die("epoll_wait");
  for (int i = 0; i < count; i++) {
    uint64_t ticks;
    if (events[i].data.u64 < call_count) {
      take_input(&calls[events[i].data.u64]);
    } else if (read(timer_fd, &ticks, sizeof ticks) < 0 && errno != EAGAIN) {
      die("timerfd");
    }
  }
}

static void start_timer(void) {
  int64_t first_us = begin_us + TICK_US;
  struct itimerspec every = {
      .it_value = {.tv_sec = first_us / 1000000, .tv_nsec = first_us % 1000000 * 1000},
      .it_interval = {.tv_nsec = TICK_US * 1000},
  };
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = call_count};
  if (timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &every, NULL) != 0) die("timerfd");
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer_fd, &event) != 0) die("epoll");
}

static void run(void) {
  uint64_t turns = ((uint64_t)RAMP_S * 1000 / ptime_ms + packets + 1) * call_count;
  begin_us = now_us();
  start_timer();
  for (uint64_t turn = 0; turn < turns;) {
    wait_events();
    for (int64_t late_us; turn < turns && (late_us = now_us() - due_us(turn)) >= 0; turn++) {
      int64_t step = late_us / LATE_STEP_US;
      late[step < LATE_STEPS ? step : LATE_STEPS - 1]++;
      take_turn(turn);
    }
  }
}

static double late_share_ms(double share) {
  uint64_t all = 0, seen = 0;
  size_t step = 0;
  for (size_t i = 0; i < LATE_STEPS; i++) all += late[i];
  while (step < LATE_STEPS - 1 && (double)(seen += late[step]) < share * (double)all) step++;
  return (double)((step + 1) * LATE_STEP_US) / 1000;
}

static void set_up(char **argv) {
  struct sockaddr_in server = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10))};
  struct rlimit files;
  if (inet_pton(AF_INET, argv[1], &server.sin_addr) != 1) die("HOST");
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  read_sound(argv[6]);
  read_legs(argv[7]);
  epoll_fd = epoll_create1(0);
  timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  if (epoll_fd < 0 || timer_fd < 0) die("epoll or timerfd");
  for (size_t i = 0; i < call_count; i++) open_call(i, &server, argv[1]);
}

int main(int argc, char **argv) {
  unsigned long seconds = argc == 8 ? strtoul(argv[3], NULL, 10) : 0;
  ptime_ms = argc == 8 ? (unsigned)strtoul(argv[4], NULL, 10) : 0;
  track_count = argc == 8 ? (unsigned)strtoul(argv[5], NULL, 10) : 0;
  if (seconds < 1 || seconds > 3600 || ptime_ms < 10 || ptime_ms > PTIME_MAX_MS || ptime_ms % 10 != 0 ||
      track_count < 1 || track_count > TRACKS) {
    fprintf(stderr, "usage: load_media HOST PORT SECONDS PTIME_MS TRACKS WAV LEGS\n");
    return 2;
  }
  packets = (unsigned)(seconds * 1000 / ptime_ms);
  set_up(argv);
  double before_s = cpu_s();
  run();
  double took_s = (double)(now_us() - begin_us) * 1e-6, used_s = cpu_s() - before_s;
  int64_t stopped_us = now_us(), end_us = stopped_us + LAST_WORDS_S * INT64_C(1000000);
  while (closed < call_count && now_us() < end_us) wait_events();
  printf(
      "sockets=%zu sent=%llu skipped=%llu cut=%zu unclosed=%zu seconds=%.2f cpu_s=%.2f late_p50_ms=%.3f "
      "late_p99_ms=%.3f late_max_ms=%.3f behind_s=%.2f\n",
      call_count, (unsigned long long)sent, (unsigned long long)skipped, cut, call_count - closed, took_s,
      used_s, late_share_ms(0.5), late_share_ms(0.99), late_share_ms(1),
      (double)(now_us() - stopped_us) * 1e-6);
  return 0;
}
