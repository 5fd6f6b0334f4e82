/* sidetone: the commands. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/memory.h"
#include "agent/cli.h"
#include "store/mongo.h"

#define CONFIGURATION                                                                    \
  "  -c FILE               the configuration; without it every option has its default\n" \
  "  -o section.key=value  one option, above file and environment; `sidetone options` lists them\n"

static const struct command {
  const char *name;
  int (*run)(int argc, char **argv);
  const char *usage, *details;
} commands[] = {
    {"serve", command_serve, "[-c FILE] [-o section.key=value]...     the agent",
     CONFIGURATION
     "Says `ready public=HOST:PORT admin=HOST:PORT` when it is, and logs, on standard error.\n"
     "SIGTERM, SIGINT: takes no new calls; after agent.drain_s open ones are stored as partial, exit 0;\n"
     "a second one cuts them at once. SIGHUP: reloads keys, tokens, certificate and the log's options.\n"},
    {"replay", command_replay,
     "[-c FILE] [-o ...] [--to URL] [--speed X|max] [--fresh] [--sign-key FILE] [--expect FILE] FIXTURE...",
     "  FIXTURE               a folder with events.jsonl, or a .jsonl file\n" CONFIGURATION
     "Without --to: offline, one line of JSON a call on standard output.\n"
     "  --expect FILE         compares instead, with such lines; prints what differs and exits 1 when "
     "something does\n"
     "With --to: over real sockets, as Telnyx does, at an agent that runs.\n"
     "  --to URL              http://host:port or https://host:port of its public listener\n"
     "  --speed X|max         X times as fast as recorded, 0.01 to 1000\n"
     "  --fresh               new ids, so that a fixture can be played again and again\n"
     "  --sign-key FILE       base64 of a 32-byte Ed25519 seed; the agent needs its public key\n"},
    {"analyze", command_analyze,
     "[-c FILE] [-o ...] [--frames|--segments] AUDIO [AUDIO]\n"
     "       sidetone analyze [-o ...] --labels FILE.csv --duration-ms N\n"
     "       sidetone analyze [-c FILE] [-o ...] [--codec PT=NAME/CLOCK]... CAPTURE.pcap",
     "  AUDIO                 stereo: left inbound, right outbound; two mono files: the same; one mono file: "
     "inbound\n"
     "  --segments            CSV of who spoke when\n"
     "  --frames              CSV of each 10 ms: speech or not, score\n"
     "  --labels FILE.csv     the rules alone, on rows as --segments prints them\n"
     "  --duration-ms N       the length of what was labelled\n"
     "  CAPTURE.pcap          pcap or pcapng: the figures of every RTP stream in it\n"
     "  --codec PT=NAME/CLOCK what a payload type is, when no SDP in the capture says it: "
     "111=opus/48000\n" CONFIGURATION},
    {"calls", command_calls, "[-c FILE] [-o ...] [CALLLOGID]     list, or show one, from the local store",
     CONFIGURATION "Looks into store.dir: give the -c and -o of `serve`, which may run meanwhile.\n"},
    {"outbox", command_outbox,
     "[-c FILE] [-o ...] list [--sink S] [--dead] | show ROW | retry ROW|all | drop ROW",
     "  list                  rows that wait for MongoDB or Redis, or that those have refused; a column a "
     "sink:\n"
     "                        pending, done, dead (refused), dropped, - (not for it)\n"
     "  --sink S              for mongo, redis_queue or redis_alerts; without it, for what is configured\n"
     "  --dead                refused ones only\n"
     "  show ROW              all of a row\n"
     "  retry ROW|all         a dead row is tried again; all of them\n"
     "  drop ROW              a row that waits or is dead is given up\n" CONFIGURATION
     "Looks into store.dir: give the -c and -o of `serve`, which may run meanwhile and sees a change within "
     "2 s.\n"},
    {"options", command_options, "    every option, tab-separated",
     "Columns: section.key, type, default, unit, meaning.\n"},
    {"check", command_check, "[-c FILE] [-o ...] [--connect]     check the configuration",
     CONFIGURATION
     "  --connect             tries every server that is configured, and says what is wrong with it\n"},
};

static void usage(FILE *out) {
  fputs("usage: ", out);
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
    fprintf(out, "%ssidetone %s %s\n", i == 0 ? "" : "       ", commands[i].name, commands[i].usage);
  }
  fputs("       sidetone --version | --help | COMMAND --help\n", out);
}

/* The status of a command whose results must be on standard output, all of them. A reader that left early, as
 * `head` does, is told nothing. */
static int written(const char *command, int status) {
  struct pollfd out = {.fd = STDOUT_FILENO};
  if (fflush(stdout) == 0 && !ferror(stdout)) return status;
  bool left = poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0;
  if (!left) fprintf(stderr, "sidetone %s: standard output could not be written\n", command);
  return status == EXIT_DONE ? EXIT_FAILED : status;
}

/* A result that was made without some of the memory it needed may have holes. */
static int whole(const char *command, int status) {
  if (memory_refusals_all() == 0 || (status == EXIT_DONE && strcmp(command, "serve") == 0)) return status;
  fprintf(stderr, "sidetone %s: memory was refused: the result is not to be relied on\n", command);
  return status == EXIT_DONE ? EXIT_FAILED : status;
}

int main(int argc, char **argv) {
  mongo_leave_no_trace();
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
      printf("usage: sidetone %s %s\n%s", name, commands[i].usage, commands[i].details);
      return EXIT_DONE;
    }
    return whole(name, written(name, commands[i].run(argc - 1, argv + 1)));
  }
  if (name[0] != '\0') fprintf(stderr, "sidetone: no command %s\n", name);
  usage(stderr);
  return EXIT_USAGE;
}
