/* sidetone outbox: what waits for MongoDB and Redis, and what they have refused. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli.h"
#include "agent/document.h"
#include "store/outbox.h"
#include "telnyx/json.h"
#include "telnyx/timestamp.h"

static const char words_allowed[] = "list, show ROW, retry ROW, retry all and drop ROW";
static const char *const state_words[OUTBOX_STATES] = {"pending", "done", "dead", "dropped", "-"};
static const char *const kind_words[] = {"event", "part", "alert"};

enum { OPT_SINK = 256, OPT_DEAD };

struct arguments {
  struct cli cli;
  enum sink_id sink; /* SINK_COUNT: any */
  bool dead, list_options;
  const char *verb;
  int64_t row; /* -1: all */
};

/* ---- its words ------------------------------------------------------------------------------- */

static int read_sink(struct arguments *a, const char *name) {
  char all[128] = "";
  for (int i = 0; i < SINK_COUNT; i++) {
    if (strcmp(name, sink_names[i]) == 0) {
      a->sink = (enum sink_id)i;
      return EXIT_DONE;
    }
    snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i > 0 ? ", " : "", sink_names[i]);
  }
  return cli_usage("outbox", "--sink %s: there is no such sink; there are %s", name, all);
}

static int read_row(struct arguments *a, const char *text) {
  char *end;
  errno = 0;
  a->row = strtoll(text, &end, 10);
  if (errno == 0 && end != text && *end == '\0' && a->row > 0) return EXIT_DONE;
  return cli_usage("outbox", "%s %s: the number of a row is allowed%s", a->verb, text,
                   strcmp(a->verb, "retry") == 0 ? ", or all" : "");
}

static int read_words(struct arguments *a, int count, char **words) {
  if (count == 0) return cli_usage("outbox", "a word is needed: %s", words_allowed);
  a->verb = words[0];
  bool list = strcmp(a->verb, "list") == 0, retry = strcmp(a->verb, "retry") == 0;
  if (!list && !retry && strcmp(a->verb, "show") != 0 && strcmp(a->verb, "drop") != 0)
    return cli_usage("outbox", "%s: no such word; allowed: %s", a->verb, words_allowed);
  if (!list && a->list_options) return cli_usage("outbox", "--sink and --dead go with list");
  if (!list && count == 1) return cli_usage("outbox", "%s: the number of a row is needed", a->verb);
  int most = list ? 1 : 2;
  if (count > most)
    return cli_usage("outbox", "%s: one word too many; allowed: %s", words[most], words_allowed);
  if (list) return EXIT_DONE;
  if (retry && strcmp(words[1], "all") == 0) {
    a->row = -1;
    return EXIT_DONE;
  }
  return read_row(a, words[1]);
}

static int parse(struct arguments *a, int argc, char **argv) {
  static const struct option options[] = {
      {"sink", required_argument, NULL, OPT_SINK}, {"dead", no_argument, NULL, OPT_DEAD}, {NULL, 0, NULL, 0}};
  int option;
  *a = (struct arguments){.sink = SINK_COUNT};
  cli_begin(&a->cli, "outbox");
  opterr = 0;
  while ((option = getopt_long(argc, argv, ":c:o:", options, NULL)) != -1) {
    a->list_options = a->list_options || option == OPT_SINK || option == OPT_DEAD;
    if (option == OPT_DEAD) {
      a->dead = true;
    } else if (option == OPT_SINK) {
      if (read_sink(a, optarg) != EXIT_DONE) return EXIT_USAGE;
    } else if (!cli_option(&a->cli, option, optarg)) {
      return cli_wrong_option("outbox", option, argv, "-c, -o, --sink and --dead");
    }
  }
  return read_words(a, argc - optind, argv + optind);
}

/* ---- list and show --------------------------------------------------------------------------- */

struct listing {
  bool sinks[SINK_COUNT]; /* whose rows are wanted: nobody asks for those of a sink that is not configured */
  bool dead;
};

static const char *kind_word(enum outbox_kind kind) {
  return (size_t)kind < sizeof kind_words / sizeof *kind_words ? kind_words[kind] : "?";
}

static const char *state_word(enum outbox_state state) {
  return state < OUTBOX_STATES ? state_words[state] : "?";
}

static void print_row(void *arg, const struct outbox_entry *e) {
  const struct listing *l = arg;
  char at[TIMESTAMP_BYTES];
  bool wanted = false;
  int tried = -1;
  for (int i = 0; i < SINK_COUNT; i++) {
    bool dead = e->state[i] == OUTBOX_DEAD, pending = e->state[i] == OUTBOX_PENDING;
    wanted = wanted || (l->sinks[i] && (dead || (pending && !l->dead)));
    if (*e->reason[i] != '\0' && (tried < 0 || e->tries[i] > e->tries[tried])) tried = i;
  }
  if (!wanted) return;
  timestamp_format_ms(e->at_ms, at);
  printf("%lld\t%s\t", (long long)e->row, at);
  cli_print_cell(e->leg);
  printf("\t%s\t", kind_word(e->kind));
  cli_print_cell(e->id);
  for (int i = 0; i < SINK_COUNT; i++) printf("\t%s", state_word(e->state[i]));
  printf("\t%u\t", tried < 0 ? 0 : e->tries[tried]);
  if (tried >= 0) {
    printf("%s: ", sink_names[tried]);
    cli_print_cell(e->reason[tried]);
  }
  putchar('\n');
}

static int list(struct outbox_desk *desk, const struct arguments *a, const struct config *config) {
  bool mongo = config->mongo_uri[0] != '\0', redis = config->redis_url[0] != '\0';
  struct listing l = {.sinks = {mongo || !redis, redis || !mongo, redis || !mongo}, .dead = a->dead};
  for (int i = 0; a->sink != SINK_COUNT && i < SINK_COUNT; i++) l.sinks[i] = i == (int)a->sink;
  printf("row\tat\tleg\tkind\tid");
  for (int i = 0; i < SINK_COUNT; i++) printf("\t%s", sink_names[i]);
  puts("\ttries\treason");
  if (outbox_desk_list(desk, a->sink, a->dead, print_row, &l) == 0) return EXIT_DONE;
  return cli_failed("outbox", "%s: the outbox cannot be read", config->store_dir);
}

static void print_all(void *arg, const struct outbox_entry *e) {
  (void)arg;
  char at[TIMESTAMP_BYTES];
  timestamp_format_ms(e->at_ms, at);
  printf("row\t%lld\nat\t%s\nleg\t", (long long)e->row, at);
  cli_print_cell(e->leg);
  printf("\nkind\t%s\nid\t", kind_word(e->kind));
  cli_print_cell(e->id);
  putchar('\n');
  for (int i = 0; i < SINK_COUNT; i++) {
    printf("%s\t%s\t%u\t", sink_names[i], state_word(e->state[i]), e->tries[i]);
    cli_print_cell(e->reason[i]);
    putchar('\n');
  }
  json_t *body = json_read(e->body, e->body_bytes, NULL, 0);
  char *text = body != NULL ? document_text(body, true, NULL) : NULL;
  if (text != NULL) puts(text);
  if (text == NULL && e->body_bytes > 0) fprintf(stderr, "sidetone outbox: the body is damaged\n");
  free(text);
  json_decref(body);
}

/* ---- the command ----------------------------------------------------------------------------- */

static int failed(const struct arguments *a, const struct config *config, int64_t error, const char *what) {
  if (error == -ENOENT) return cli_failed("outbox", "%s %lld: %s", a->verb, (long long)a->row, what);
  return cli_failed("outbox", "%s: the outbox cannot be %s", config->store_dir,
                    strcmp(a->verb, "show") == 0 ? "read" : "written");
}

static int work(struct outbox_desk *desk, const struct arguments *a, const struct config *config) {
  if (strcmp(a->verb, "list") == 0) return list(desk, a, config);
  if (strcmp(a->verb, "show") == 0) {
    int error = outbox_desk_show(desk, a->row, print_all, NULL);
    return error == 0 ? EXIT_DONE : failed(a, config, error, "there is no such row");
  }
  if (strcmp(a->verb, "drop") == 0) {
    int error = outbox_desk_drop(desk, a->row);
    if (error != 0) return failed(a, config, error, "no row that is pending or dead has this number");
    printf("row %lld is dropped\n", (long long)a->row);
    return EXIT_DONE;
  }
  int64_t rows = outbox_desk_retry(desk, a->row);
  if (rows < 0) return failed(a, config, rows, "no row that is dead has this number");
  printf("%lld row%s pending again\n", (long long)rows, rows == 1 ? " is" : "s are");
  return EXIT_DONE;
}

int command_outbox(int argc, char **argv) {
  struct arguments a;
  struct config config;
  struct outbox_desk *desk;
  char why[512];
  if (parse(&a, argc, argv) != EXIT_DONE) return EXIT_USAGE;
  int status = cli_config(&a.cli, &config);
  if (status != EXIT_DONE) return status;
  bool to_change = strcmp(a.verb, "retry") == 0 || strcmp(a.verb, "drop") == 0;
  if (outbox_desk_open(&desk, config.store_dir, to_change, why, sizeof why) == 0) {
    status = work(desk, &a, &config);
    outbox_desk_close(desk);
  } else {
    status = cli_failed("outbox", "store.dir: %s", why);
  }
  config_free(&config);
  return status;
}
