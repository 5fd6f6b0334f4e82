/* sidetone replay: fixtures offline, or at a server. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/cli.h"
#include "agent/fold.h"
#include "agent/replay.h"
#include "telnyx/base64.h"

enum { OPT_TO = 256, OPT_SPEED, OPT_FRESH, OPT_SIGN_KEY, OPT_EXPECT };

struct arguments {
  struct cli cli;
  const char *to, *sign_key, *expect;
  double speed;
  bool speed_set, fresh;
};

static int read_speed(struct arguments *a, const char *text) {
  char *end;
  a->speed_set = true;
  if (strcmp(text, "max") == 0) {
    a->speed = 0;
    return EXIT_DONE;
  }
  errno = 0;
  a->speed = strtod(text, &end);
  if (errno == 0 && *end == '\0' && a->speed >= 0.01 && a->speed <= 1000) return EXIT_DONE;
  return cli_usage("replay", "--speed %s: a number from 0.01 to 1000, or max, is allowed", text);
}

static int parse(struct arguments *a, int argc, char **argv) {
  static const struct option options[] = {
      {"to", required_argument, NULL, OPT_TO},         {"speed", required_argument, NULL, OPT_SPEED},
      {"fresh", no_argument, NULL, OPT_FRESH},         {"sign-key", required_argument, NULL, OPT_SIGN_KEY},
      {"expect", required_argument, NULL, OPT_EXPECT}, {NULL, 0, NULL, 0}};
  int option;
  *a = (struct arguments){.speed = 1};
  cli_begin(&a->cli, "replay");
  opterr = 0;
  while ((option = getopt_long(argc, argv, ":c:o:", options, NULL)) != -1) {
    switch (option) {
      case OPT_TO:
        a->to = optarg;
        break;
      case OPT_SPEED:
        if (read_speed(a, optarg) != EXIT_DONE) return EXIT_USAGE;
        break;
      case OPT_FRESH:
        a->fresh = true;
        break;
      case OPT_SIGN_KEY:
        a->sign_key = optarg;
        break;
      case OPT_EXPECT:
        a->expect = optarg;
        break;
      default:
        if (!cli_option(&a->cli, option, optarg)) {
          return cli_wrong_option("replay", option, argv,
                                  "-c, -o, --to, --speed, --fresh, --sign-key and --expect");
        }
    }
  }
  if (optind == argc)
    return cli_usage("replay", "a fixture is needed: a .jsonl file or a folder with events.jsonl");
  if (a->to != NULL && a->expect != NULL)
    return cli_usage("replay", "--expect compares what replay prints itself; it does not go with --to");
  if (a->to == NULL && (a->fresh || a->sign_key != NULL || a->speed_set)) {
    return cli_usage("replay", "--fresh, --sign-key and --speed go with --to");
  }
  if (a->to != NULL && strncmp(a->to, "http://", 7) != 0 && strncmp(a->to, "https://", 8) != 0) {
    return cli_usage("replay", "--to %s: http://host:port or https://host:port is allowed", a->to);
  }
  return EXIT_DONE;
}

static void print_documents(const json_t *documents) {
  for (size_t i = 0; i < json_array_size(documents); i++) {
    char *text = document_text(json_array_get(documents, i), false, NULL);
    if (text != NULL) puts(text);
    free(text);
  }
}

/* With --expect the expected lines of all fixtures stand in one file, so all are played first. */
static int play_offline(const struct arguments *a, const struct config *config, char **fixtures, int count) {
  char why[1024];
  json_t *all = json_array();
  int status = EXIT_DONE;
  for (int i = 0; i < count && status == EXIT_DONE; i++) {
    struct fixture *f = fixture_open(fixtures[i], why, sizeof why);
    json_t *documents = f != NULL ? replay_offline(f, config) : NULL;
    if (documents == NULL) {
      status = cli_failed("replay", "%s", f != NULL ? "no memory" : why);
    } else if (a->expect != NULL) {
      json_array_extend(all, documents);
    } else {
      print_documents(documents);
    }
    json_decref(documents);
    fixture_free(f);
  }
  if (status == EXIT_DONE && a->expect != NULL && replay_expect(all, a->expect) != 0) status = EXIT_FAILED;
  json_decref(all);
  return status;
}

static int read_seed(const char *file, unsigned char seed[32]) {
  char text[256] = "";
  FILE *f = fopen(file, "r");
  if (f == NULL) return cli_failed("replay", "%s: %s", file, strerror(errno));
  size_t length = fread(text, 1, sizeof text - 1, f);
  fclose(f);
  while (length > 0 && strchr("\r\n \t", text[length - 1]) != NULL) text[--length] = '\0';
  if (base64_decode(text, length, seed, 32) == 32) return EXIT_DONE;
  return cli_failed("replay", "%s: base64 of a 32-byte Ed25519 seed is allowed", file);
}

static int play_to(const struct arguments *a, char **fixtures, int count) {
  unsigned char seed[32];
  char why[1024];
  struct replay_net net = {
      .url = a->to, .speed = a->speed, .fresh = a->fresh, .progress = isatty(STDERR_FILENO) != 0};
  if (a->sign_key != NULL) {
    if (read_seed(a->sign_key, seed) != EXIT_DONE) return EXIT_FAILED;
    net.seed = seed;
  }
  for (int i = 0; i < count; i++) {
    struct fixture *f = fixture_open(fixtures[i], why, sizeof why);
    if (f == NULL) return cli_failed("replay", "%s", why);
    int result = replay_over_network(f, &net);
    fixture_free(f);
    if (result != 0) return EXIT_FAILED;
  }
  return EXIT_DONE;
}

int command_replay(int argc, char **argv) {
  struct arguments a;
  struct config config;
  if (parse(&a, argc, argv) != EXIT_DONE) return EXIT_USAGE;
  int status = cli_config(&a.cli, &config);
  if (status != EXIT_DONE) return status;
  char **fixtures = argv + optind;
  int count = argc - optind;
  status = a.to != NULL ? play_to(&a, fixtures, count) : play_offline(&a, &config, fixtures, count);
  config_free(&config);
  return status;
}
