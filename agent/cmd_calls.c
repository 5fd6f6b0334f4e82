/* sidetone calls and options: looking, nothing else. */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli.h"
#include "agent/fold.h"
#include "store/store.h"
#include "telnyx/json.h"
#include "telnyx/timestamp.h"

static void print_row(void *arg, const struct store_call_row *row) {
  (void)arg;
  char when[TIMESTAMP_BYTES] = "";
  if (row->initiated_at_ms > 0) timestamp_format_ms(row->initiated_at_ms, when);
  const char *const cells[] = {row->call_log_id, row->status, row->direction, row->from, row->to, when};
  for (size_t i = 0; i < sizeof cells / sizeof *cells; i++) {
    cli_print_cell(cells[i]);
    putchar('\t');
  }
  if (!isnan(row->total_s)) printf("%.0f", row->total_s);
  putchar('\t');
  if (!isnan(row->mos)) printf("%.2f", row->mos);
  putchar('\n');
}

static int show(struct store_reader *reader, const char *id) {
  char *stored = store_reader_get(reader, id);
  if (stored == NULL && store_reader_damaged(reader) != NULL)
    return cli_failed("calls", "%s: the stored CallLog is damaged; asked for it, `serve` makes it again", id);
  if (stored == NULL) return cli_failed("calls", "no call %s in the local store", id);
  json_t *document = json_read(stored, strlen(stored), NULL, 0);
  char *text = document != NULL ? document_text(document, true, NULL) : NULL;
  if (text != NULL) puts(text);
  free(text);
  json_decref(document);
  free(stored);
  return text != NULL ? EXIT_DONE : cli_failed("calls", "%s: the stored text is damaged", id);
}

int command_calls(int argc, char **argv) {
  struct cli cli;
  struct config config;
  if (cli_parse(&cli, "calls", 1, argc, argv) != EXIT_DONE) return EXIT_USAGE;
  int status = cli_config(&cli, &config);
  if (status != EXIT_DONE) return status;
  char why[512];
  struct store_reader *reader;
  if (store_reader_open(&reader, config.store_dir, why, sizeof why) != 0) {
    status = cli_failed("calls", "store.dir: %s", why);
  } else {
    if (optind < argc) {
      status = show(reader, argv[optind]);
    } else {
      puts("callLogId\tstatus\tdirection\tfrom\tto\tinitiatedAt\ttotal_s\tmos");
      if (store_reader_list(reader, print_row, NULL) != 0)
        status = cli_failed("calls", "%s: the store cannot be read", config.store_dir);
    }
    store_reader_close(reader);
  }
  config_free(&config);
  return status;
}

int command_options(int argc, char **argv) {
  (void)argv;
  if (argc > 1) return cli_usage("options", "nothing else is allowed");
  config_print_options(stdout);
  return EXIT_DONE;
}
