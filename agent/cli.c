#include "agent/cli.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/log.h"
#include "agent/server.h"
#include "store/mongo.h"
#include "store/redis.h"

__attribute__((format(printf, 2, 0))) static void say(const char *command, const char *format, va_list args) {
  fprintf(stderr, "sidetone%s%s: ", command[0] != '\0' ? " " : "", command);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
}

int cli_usage(const char *command, const char *format, ...) {
  va_list args;
  va_start(args, format);
  say(command, format, args);
  va_end(args);
  fprintf(stderr, "try: sidetone%s%s --help\n", command[0] != '\0' ? " " : "", command);
  return EXIT_USAGE;
}

int cli_failed(const char *command, const char *format, ...) {
  va_list args;
  va_start(args, format);
  say(command, format, args);
  va_end(args);
  return EXIT_FAILED;
}

void cli_begin(struct cli *cli, const char *command) {
  *cli = (struct cli){.command = command};
  cli->source.overrides = cli->override;
}

bool cli_option(struct cli *cli, int option, const char *value) {
  if (option == 'c') {
    cli->source.file = value;
    return true;
  }
  if (option != 'o' || cli->source.override_count == OVERRIDES_MAX) return false;
  cli->override[cli->source.override_count++] = value;
  return true;
}

int cli_wrong_option(const char *command, int option, char **argv, const char *allowed) {
  if (option == 'o') return cli_usage(command, "-o is allowed %d times", OVERRIDES_MAX);
  /* An unknown long option has optopt 0, a known one its value above all letters. What stands behind `=` is
   * not repeated: it may be a secret. */
  bool letter = optopt > 0 && optopt < 256;
  const char *word = letter ? (const char[]){'-', (char)optopt, '\0'} : argv[optind - 1];
  return cli_usage(command, "%.*s%s; allowed: %s", (int)strcspn(word, "="), word,
                   option == ':'           ? " needs a value"
                   : letter || optopt == 0 ? " is not an option of this command"
                                           : " takes no value",
                   allowed);
}

int cli_parse(struct cli *cli, const char *command, int most_words, int argc, char **argv) {
  static const char allowed[] = "-c FILE and -o section.key=value";
  static const struct option none[] = {{NULL, 0, NULL, 0}};
  int option;
  cli_begin(cli, command);
  opterr = 0;
  while ((option = getopt_long(argc, argv, ":c:o:", none, NULL)) != -1) {
    if (!cli_option(cli, option, optarg)) return cli_wrong_option(command, option, argv, allowed);
  }
  if (argc - optind > most_words)
    return cli_usage(command, "%s: one word too many; allowed: %s", argv[optind + most_words], allowed);
  return EXIT_DONE;
}

void cli_print_cell(const char *text) {
  for (; *text != '\0'; text++) putchar((unsigned char)*text < ' ' || *text == 0x7f ? ' ' : *text);
}

static void warn(void *arg, const char *text) {
  fprintf(stderr, "sidetone %s: warning: %s\n", (const char *)arg, text);
}

int cli_config(struct cli *cli, struct config *config) {
  char why[1024];
  union {
    const char *text;
    void *arg;
  } command = {.text = cli->command};
  if (config_load(config, &cli->source, why, sizeof why, warn, command.arg) != 0) {
    fprintf(stderr, "sidetone %s: %s\n", cli->command, why);
    return EXIT_USAGE;
  }
  log_configure((enum log_level)config->log_level, (enum log_format)config->log_format, config->log_numbers);
  return EXIT_DONE;
}

int cli_check_tls(const char *command, const struct config *config) {
  char why[512];
  if (config->listen_tls_certificate[0] == '\0' ||
      server_check_tls(config->listen_tls_certificate, config->listen_tls_private_key, why, sizeof why) ==
          0) {
    return EXIT_DONE;
  }
  fprintf(stderr, "sidetone %s: listen.tls_certificate, listen.tls_private_key: %s\n", command, why);
  return EXIT_USAGE;
}

int cli_check_servers(const char *command, const struct config *config) {
  char why[512];
  const struct mongo_options options = {.uri = config->mongo_uri,
                                        .database = config->mongo_database,
                                        .collection = config->mongo_collection,
                                        .server_selection_ms = config->mongo_server_selection_ms,
                                        .socket_ms = config->mongo_socket_ms};
  struct mongo *mongo = NULL;
  const char *option = NULL;
  if (config->mongo_uri[0] != '\0' && mongo_create(&mongo, &options, why, sizeof why) != 0)
    option = "mongo.uri";
  mongo_free(mongo);
  if (option == NULL && config->redis_url[0] != '\0' &&
      redis_check_url(config->redis_url, why, sizeof why) != 0)
    option = "redis.url";
  if (option == NULL) return EXIT_DONE;
  fprintf(stderr, "sidetone %s: %s: %s\n", command, option, why);
  return EXIT_USAGE;
}
