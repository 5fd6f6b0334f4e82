/* What the commands share: their words, their exit codes, the configuration of -c and -o. */
#ifndef AGENT_CLI_H
#define AGENT_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };
enum { OVERRIDES_MAX = 256 };

struct cli {
  const char *command;
  const char *override[OVERRIDES_MAX];
  struct config_source source;
};

/* "sidetone COMMAND: text" and where to read more; returns EXIT_USAGE. */
int cli_usage(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "sidetone COMMAND: text"; returns EXIT_FAILED. */
int cli_failed(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Takes -c FILE and -o section.key=value. */
void cli_begin(struct cli *cli, const char *command);
bool cli_option(struct cli *cli, int option, const char *value);
/* What getopt_long did not take (it returned `option`; opterr is 0, its short options begin with ':') or
 * cli_option() refused: says which word it was and what is `allowed`; returns EXIT_USAGE. */
int cli_wrong_option(const char *command, int option, char **argv, const char *allowed);
/* All of a command line that has nothing but those, and `most_words` words behind them (from optind on).
 * EXIT_DONE, or EXIT_USAGE with the message said. */
int cli_parse(struct cli *cli, const char *command, int most_words, int argc, char **argv);
/* Loads the configuration and sets up the log; EXIT_DONE or EXIT_USAGE with the message said. */
int cli_config(struct cli *cli, struct config *config);
/* Whether the certificate and key of the public listener can be used; EXIT_DONE or EXIT_USAGE with the
 * message said. */
int cli_check_tls(const char *command, const struct config *config);

/* Text from outside into a cell of a table: a row stays a row whatever is in it. */
void cli_print_cell(const char *text);

/* Whether the addresses of MongoDB and Redis can be read, as those who connect read them: the same. */
int cli_check_servers(const char *command, const struct config *config);

int command_serve(int argc, char **argv);
int command_replay(int argc, char **argv);
int command_analyze(int argc, char **argv);
int command_outbox(int argc, char **argv);
int command_calls(int argc, char **argv);
int command_options(int argc, char **argv);
int command_check(int argc, char **argv);

#endif
