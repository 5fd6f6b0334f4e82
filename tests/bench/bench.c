/* make bench: what the hot paths cost, side by side in one run. CPU time of this process, median of
 * ROUNDS; the fixture's own frames, not one frame over and over. Prints the table of docs/performance.md.
 *
 *   bench SIDETONE FIXTURE_FOLDER SCRATCH_FOLDER */
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/engine.h"
#include "agent/fixture.h"
#include "agent/rfc6455.h"
#include "agent/stream.h"
#include "dsp/codec.h"
#include "dsp/delivery.h"
#include "dsp/vad.h"
#include "telnyx/base64.h"
#include "telnyx/frame.h"

enum { ROUNDS = 9, FRAMES_MAX = 8192, TEXT_MAX = 512, HOUR_S = 3600 };

struct recorded {
  char text[TEXT_MAX];
  size_t bytes;
  int64_t t_us;
};

static struct recorded frame[FRAMES_MAX];
static size_t frames;
static char start_text[4096];

static double cpu_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

/* Median of the rounds, and their spread, in ns a unit. */
static double report(const char *what, const char *unit, double *round, size_t units) {
  qsort(round, ROUNDS, sizeof *round, by_value);
  double ns = round[ROUNDS / 2] * 1e9 / (double)units;
  printf("%-52s %12.1f ns/%s   (%.1f to %.1f)\n", what, ns, unit, round[0] * 1e9 / (double)units,
         round[ROUNDS - 1] * 1e9 / (double)units);
  return ns;
}

static void read_frames(const char *folder) {
  char why[512];
  struct fixture *f = fixture_open(folder, why, sizeof why);
  struct fixture_event e;
  if (f == NULL) {
    fprintf(stderr, "bench: %s\n", why);
    exit(1);
  }
  while (fixture_next(f, &e)) {
    if (e.kind != FIXTURE_WS_TEXT) continue;
    if (strstr(e.text, "\"start\"") != NULL) {
      snprintf(start_text, sizeof start_text, "%s", e.text);
    } else if (strstr(e.text, "\"media\"") != NULL && frames < FRAMES_MAX && e.bytes < TEXT_MAX) {
      memcpy(frame[frames].text, e.text, e.bytes + 1);
      frame[frames].t_us = e.t_us;
      frame[frames++].bytes = e.bytes;
    }
  }
  fixture_free(f);
}

/* ---- the steps of a media frame -------------------------------------------------------------- */

static unsigned long sink; /* what the steps found, so that none is optimised away */

static void step_scan(void) {
  struct media_frame m;
  for (size_t i = 0; i < frames; i++) sink += frame_scan_media(frame[i].text, frame[i].bytes, &m);
}

static void step_parse(void) {
  struct frame f;
  for (size_t i = 0; i < frames; i++) {
    sink += (unsigned long)frame_parse(frame[i].text, frame[i].bytes, &f);
    frame_release(&f);
  }
}

static struct media_frame scanned[FRAMES_MAX];
static uint8_t payload[FRAMES_MAX][160];

static void step_base64(void) {
  for (size_t i = 0; i < frames; i++) {
    sink += (unsigned long)base64_decode(scanned[i].payload.data, scanned[i].payload.bytes, payload[i], 160);
  }
}

static void step_rfc6455(void) {
  static char wire[TEXT_MAX + 16];
  struct rfc6455 ws;
  rfc6455_init(&ws, RFC6455_SERVER, 2 * 1024 * 1024);
  for (size_t i = 0; i < frames; i++) {
    size_t n = frame[i].bytes;
    wire[0] = (char)0x81; /* a whole text frame, masked */
    wire[1] = (char)(0x80 | 126);
    wire[2] = (char)(n >> 8);
    wire[3] = (char)n;
    memcpy(wire + 4, "\1\2\3\4", 4);
    memcpy(wire + 8, frame[i].text, n);
    struct rfc6455_item item;
    size_t used;
    sink += (unsigned long)rfc6455_next(&ws, wire, n + 8, &used, &item) + used;
  }
  rfc6455_release(&ws);
}

static void step_delivery(void) {
  struct delivery *d = malloc(delivery_bytes());
  delivery_init(d);
  delivery_begin(d, codec_row(CODEC_PCMU), 20000);
  for (size_t i = 0; i < frames; i++) {
    const struct delivery_input in = {.number = i + 1,
                                      .media_us = (int64_t)i * 20000,
                                      .arrival_us = (int64_t)i * 20000 + (int64_t)(i * 2654435761u % 4000),
                                      .read_ordinal = i,
                                      .duration_us = 20000};
    sink += (unsigned long)delivery_frame(d, &in).verdict;
  }
  free(d);
}

static void step_decode(void) {
  struct codec_decoder decoder;
  int16_t pcm[160];
  codec_decoder_init(&decoder, codec_row(CODEC_PCMU));
  for (size_t i = 0; i < frames; i++) sink += codec_decode(&decoder, payload[i], 160, pcm, 160);
}

static void step_vad(void) {
  struct vad *v = malloc(vad_bytes());
  struct codec_decoder decoder;
  struct vad_out out;
  int16_t pcm[160];
  vad_init(v);
  codec_decoder_init(&decoder, codec_row(CODEC_PCMU));
  for (size_t i = 0; i < frames; i++) {
    codec_decode(&decoder, payload[i], 160, pcm, 160);
    vad_frame(v, pcm, &out);
    sink += out.instant;
    vad_frame(v, pcm + 80, &out);
    sink += out.instant;
  }
  free(v);
}

static struct metrics metrics;

static struct engine *new_engine(void) {
  static const struct engine_effects effects;
  const struct engine_options options = {.fold = {.agent_id = "bench", .version = "0"},
                                         .agent_id = "bench",
                                         .first_part = 1,
                                         .stream_token = "",
                                         .keep_finished = true};
  return engine_create(&options, &effects, &metrics);
}

static double engine_round_s(void) {
  struct engine *e = new_engine();
  struct moment at = {.mono_us = 0, .wall_us = 1767225600000000};
  engine_socket_opened(e, 1, &at, PROOF_DONE, NULL);
  engine_socket_message(e, 1, &at, true, true, start_text, strlen(start_text));
  double from = cpu_s();
  for (size_t i = 0; i < frames; i++) {
    at = (struct moment){
        .mono_us = frame[i].t_us, .wall_us = 1767225600000000 + frame[i].t_us, .read_ordinal = i};
    engine_socket_message(e, 1, &at, true, true, frame[i].text, frame[i].bytes);
  }
  double took = cpu_s() - from;
  engine_free(e);
  return took;
}

static double document_round_s(void) {
  struct engine *e = new_engine();
  struct moment at = {.mono_us = 0, .wall_us = 1767225600000000};
  engine_socket_opened(e, 1, &at, PROOF_DONE, NULL);
  engine_socket_message(e, 1, &at, true, true, start_text, strlen(start_text));
  for (size_t i = 0; i < frames; i++) {
    at = (struct moment){
        .mono_us = frame[i].t_us, .wall_us = 1767225600000000 + frame[i].t_us, .read_ordinal = i};
    engine_socket_message(e, 1, &at, true, true, frame[i].text, frame[i].bytes);
  }
  json_t *live = NULL;
  double from = cpu_s();
  for (int i = 0; i < 100; i++) {
    json_decref(live);
    live = engine_live(e, &at);
  }
  double took = cpu_s() - from;
  sink += json_array_size(live);
  json_decref(live);
  engine_free(e);
  return took;
}

static double time_step(void (*step)(void), const char *what) {
  double round[ROUNDS];
  for (int i = 0; i < ROUNDS; i++) {
    double from = cpu_s();
    step();
    round[i] = cpu_s() - from;
  }
  return report(what, "frame", round, frames);
}

/* ---- an hour --------------------------------------------------------------------------------- */

/* The fixture's sound over and over for an hour, both tracks. */
static void make_hour(const char *folder, const char *scratch) {
  char path[4096];
  SF_INFO info = {0}, hour;
  snprintf(path, sizeof path, "%s/call.wav", folder);
  SNDFILE *in = sf_open(path, SFM_READ, &info);
  hour = info;
  snprintf(path, sizeof path, "%s/hour.wav", scratch);
  SNDFILE *out = in != NULL ? sf_open(path, SFM_WRITE, &hour) : NULL;
  short *pcm = out != NULL ? malloc((size_t)info.frames * (size_t)info.channels * sizeof *pcm) : NULL;
  if (pcm == NULL) {
    fprintf(stderr, "bench: %s: %s\n", path, sf_strerror(in));
    exit(1);
  }
  sf_count_t have = sf_readf_short(in, pcm, info.frames), want = (sf_count_t)HOUR_S * info.samplerate;
  for (sf_count_t done = 0; done < want; done += have)
    sf_writef_short(out, pcm, have < want - done ? have : want - done);
  free(pcm);
  sf_close(in);
  sf_close(out);
  snprintf(path, sizeof path, "%s/events.jsonl", scratch);
  FILE *f = fopen(path, "w");
  fprintf(f,
          "{\"sidetone_fixture\":1,\"about\":\"an "
          "hour\"}\n{\"t\":0,\"ws\":\"a\",\"open\":{\"path\":\"/telnyx/media\"}}\n");
  fprintf(f, "{\"t\":0.1,\"ws\":\"a\",\"text\":\"");
  for (const char *c = start_text; *c != '\0'; c++) fprintf(f, *c == '"' ? "\\\"" : "%c", *c);
  fprintf(f,
          "\"}\n{\"t\":0.2,\"ws\":\"a\",\"audio\":{\"file\":\"hour.wav\",\"encoding\":\"PCMU\",\"frame_ms\":"
          "20}}\n"
          "{\"t\":3601,\"ws\":\"a\",\"close\":1005}\n");
  fclose(f);
}

static void replay_hour(const char *sidetone, const char *scratch) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    if (freopen("/dev/null", "w", stdout) == NULL) _exit(1);
    execl(sidetone, sidetone, "replay", scratch, (char *)NULL);
    _exit(127);
  }
  int status;
  struct rusage usage;
  wait4(child, &status, 0, &usage);
  double s = (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec * 1e-6 +
             (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec * 1e-6;
  printf("%-52s %12.2f s CPU   (exit %d, %ld MiB)\n", "replay of 1 h of a two-track call", s,
         WEXITSTATUS(status), usage.ru_maxrss / 1024);
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: bench SIDETONE FIXTURE_FOLDER SCRATCH_FOLDER\n");
    return 2;
  }
  read_frames(argv[2]);
  for (size_t i = 0; i < frames; i++) sink += frame_scan_media(frame[i].text, frame[i].bytes, &scanned[i]);
  step_base64();
  printf("%zu media frames of 20 ms PCMU, both tracks; median of %d rounds (lowest to highest)\n", frames,
         ROUNDS);
  double parse = time_step(step_parse, "frame_parse (jansson)");
  double scan = time_step(step_scan, "frame_scan_media");
  printf("%-52s %12.1f times\n", "  jansson against the scanner", parse / scan);
  time_step(step_rfc6455, "rfc6455_next, unmasking");
  time_step(step_base64, "base64_decode");
  time_step(step_delivery, "delivery_frame: ledger, jitter, playout, bursts");
  time_step(step_decode, "codec_decode PCMU");
  time_step(step_vad, "codec_decode and two vad_frame of 10 ms");
  double round[ROUNDS];
  for (int i = 0; i < ROUNDS; i++) round[i] = engine_round_s();
  double whole = report("engine_socket_message, all of it", "frame", round, frames);
  printf("%-52s %12.0f calls a core\n", "  both tracks, 100 frames a second a call", 1e9 / (whole * 100));
  for (int i = 0; i < ROUNDS; i++) round[i] = document_round_s();
  report("fold of a live call and its row", "fold", round, 100);
  printf("%-52s %12zu bytes\n", "a stream of two tracks, whatever its length", stream_bytes());
  make_hour(argv[2], argv[3]);
  replay_hour(argv[1], argv[3]);
  return sink == 0;
}
