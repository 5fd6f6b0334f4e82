/* sidetone: the commands. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "agent/cli.h"

static const struct command {
  const char *name;
  int (*run)(int argc, char **argv);
  const char *usage;
} commands[] = {
    {"serve", command_serve, "[-c FILE] [-o section.key=value]...     the agent"},
    {"replay", command_replay,
     "[-c FILE] [-o ...] [--to URL] [--speed X|max] [--fresh] [--sign-key FILE] [--expect FILE] FIXTURE..."},
    {"analyze", command_analyze,
     "[-c FILE] [-o ...] [--frames|--segments] AUDIO [AUDIO]\n"
     "       sidetone analyze [-o ...] --labels FILE.csv --duration-ms N"},
    {"calls", command_calls, "[-c FILE] [-o ...] [CALLLOGID]     list, or show one, from the local store"},
    {"options", command_options, "    every option, tab-separated"},
    {"check", command_check, "[-c FILE] [-o ...]     check the configuration"},
};

static void usage(FILE *out) {
  fputs("usage: ", out);
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
    fprintf(out, "%ssidetone %s %s\n", i == 0 ? "" : "       ", commands[i].name, commands[i].usage);
  }
  fputs("       sidetone --version | --help | COMMAND --help\n", out);
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN); /* a file at its limit is a full disk: 503, not the end */
  const char *name = argc > 1 ? argv[1] : "";
  if (strcmp(name, "--version") == 0) {
    puts("sidetone " SIDETONE_VERSION);
    return EXIT_DONE;
  }
  if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
    usage(stdout);
    return EXIT_DONE;
  }
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
    if (strcmp(name, commands[i].name) != 0) continue;
    if (argc > 2 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0)) {
      printf("usage: sidetone %s %s\n", name, commands[i].usage);
      return EXIT_DONE;
    }
    return commands[i].run(argc - 1, argv + 1);
  }
  if (name[0] != '\0') fprintf(stderr, "sidetone: no command %s\n", name);
  usage(stderr);
  return EXIT_USAGE;
}
