/* Any bytes as a fixture with a small audio file in its folder: refused with file and line, or played twice with the
 * same events in rising time. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/fixture.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Both files are in memory, under names that the kernel gives them. */
enum { SOUND_FD = 900, EVENTS_FD = 901 };
static const char events[] = "/proc/self/fd/901";

static void write_file(int fd, const void *data, size_t size) {
  if (ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t)size) abort();
}

/* The sound, called 900 by fixtures: 0.1 s, two channels, 8 kHz. */
int LLVMFuzzerInitialize(int *argc, char ***argv) {
  static const uint8_t head[44] = {'R', 'I', 'F',  'F',  0xa4, 0x0c, 0,   0,    'W',  'A', 'V',
                                   'E', 'f', 'm',  't',  ' ',  16,   0,   0,    0,    1,   0,
                                   2,   0,   0x40, 0x1f, 0,    0,    0,   0x7d, 0,    0,   4,
                                   0,   16,  0,    'd',  'a',  't',  'a', 0x80, 0x0c, 0,   0};
  (void)argc;
  (void)argv;
  uint8_t wav[sizeof head + 3200];
  if (dup2(memfd_create("sound", 0), SOUND_FD) < 0 || dup2(memfd_create("events", 0), EVENTS_FD) < 0) abort();
  memcpy(wav, head, sizeof head);
  for (size_t i = sizeof head; i < sizeof wav; i++) wav[i] = (uint8_t)(i * 37);
  write_file(SOUND_FD, wav, sizeof wav);
  return 0;
}

static uint64_t mix(uint64_t sum, const void *data, size_t bytes) {
  const unsigned char *at = data;
  for (size_t i = 0; i < bytes; i++) sum = (sum ^ at[i]) * UINT64_C(1099511628211);
  return (sum ^ 0xff) * UINT64_C(1099511628211);
}

static uint64_t play(struct fixture *f) {
  struct fixture_event e;
  uint64_t sum = 0;
  int64_t before_us = 0;
  while (fixture_next(f, &e)) {
    if (e.t_us < before_us || e.t_us > fixture_end_us(f)) abort();
    before_us = e.t_us;
    if (e.kind != FIXTURE_HTTP && !e.socket) abort();
    sum = mix(sum, &e.t_us, sizeof e.t_us);
    sum = mix(sum, &e.kind, sizeof e.kind);
    if (e.socket) sum = mix(sum, e.socket, strlen(e.socket));
    if (e.path) sum = mix(sum, e.path, strlen(e.path));
    if (e.text) sum = mix(sum, e.text, e.bytes);
  }
  return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char why[1024] = "";
  write_file(EVENTS_FD, data, size);
  struct fixture *f = fixture_open(events, why, sizeof why);
  if (!f) {
    if (strncmp(why, events, sizeof events - 1) != 0 || why[sizeof events - 1] != ':') abort();
    return 0;
  }
  uint64_t first = play(f);
  fixture_rewind(f);
  if (play(f) != first) abort();
  fixture_free(f);
  return 0;
}
