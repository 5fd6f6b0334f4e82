/* sidetone check: is the configuration good, and with --connect: what do its servers say? */
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "agent/cli.h"
#include "agent/serve.h"
#include "store/redis_sinks.h"
#include "store/rest.h"

enum { REST_MS = 5000 };

static void say(void *arg, const char *line) {
  (void)arg;
  puts(line);
}

/* ---- Telnyx: one question, waited for ---- */

struct question {
  pthread_mutex_t mutex;
  pthread_cond_t answered;
  bool done, good;
};

static enum rest_verdict judge(void *arg, const struct rest_request *request, int status, const char *body,
                               size_t bytes, int64_t *wait_ms) {
  (void)arg, (void)request, (void)body, (void)bytes, (void)wait_ms;
  return status != 0 ? REST_DONE : REST_GIVE_UP;
}

static void answered(void *arg) {
  struct question *q = arg;
  pthread_mutex_lock(&q->mutex);
  q->done = true;
  pthread_cond_signal(&q->answered);
  pthread_mutex_unlock(&q->mutex);
}

/* A leg that nobody has: whoever may ask hears that it is not there. */
static void on_answer(void *arg, const struct rest_answer *a) {
  struct question *q = arg;
  char why[256];
  enum command_verdict verdict = command_judge(a->status, a->body, a->body_bytes, why, sizeof why);
  q->good = a->status != 0 && a->status < 500 && verdict != COMMAND_UNAUTHORIZED;
  if (a->status == 0)
    printf("telnyx.api_base: no answer: %s\n", a->error != NULL ? a->error : "no words");
  else if (verdict == COMMAND_UNAUTHORIZED)
    printf("telnyx.api_key: refused (%s)\n", why);
  else if (!q->good)
    printf("telnyx.api_base: it answers with a failure of its own (%s)\n", why);
  else
    puts("telnyx.api_key: accepted");
}

static bool check_telnyx(const struct config *config) {
  char why[256];
  struct question q = {.mutex = PTHREAD_MUTEX_INITIALIZER, .answered = PTHREAD_COND_INITIALIZER};
  const struct rest_options options = {.bearer_token = config->telnyx_api_key,
                                       .user_agent = "sidetone/" SIDETONE_VERSION,
                                       .connect_ms = REST_MS,
                                       .first_reply_ms = REST_MS,
                                       .reply_ms = REST_MS,
                                       .queue_max = 1,
                                       .judge = judge,
                                       .wake = answered,
                                       .arg = &q};
  char *url = command_call_url(config->telnyx_api_base, "v3:sidetone-check");
  const struct rest_request request = {
      .ticket = 1, .method = "GET", .url = url, .tries = 1, .give_up_after_ms = 2 * REST_MS};
  struct rest *rest = NULL;
  if (url == NULL || rest_start(&rest, &options, why, sizeof why) != 0 || rest_submit(rest, &request) != 0) {
    puts("telnyx.api_base: the question could not be asked");
  } else {
    pthread_mutex_lock(&q.mutex);
    while (!q.done) pthread_cond_wait(&q.answered, &q.mutex);
    pthread_mutex_unlock(&q.mutex);
    rest_collect(rest, on_answer, &q);
  }
  rest_stop(rest);
  free(url);
  return q.good;
}

/* ---- all of them ---- */

static int connect_all(const struct config *config) {
  static const struct fold_options fold = {.agent_id = "check", .version = SIDETONE_VERSION};
  bool good = true;
  if (*config->mongo_uri != '\0') {
    const struct mongo_options mongo = serve_mongo_options(config, &fold);
    good = mongo_check(&mongo, say, NULL) && good;
  }
  if (*config->redis_url != '\0') {
    const struct redis_options redis = serve_redis_options(config);
    good = redis_check(&redis, say, NULL) && good;
  }
  if (*config->telnyx_api_key != '\0') good = check_telnyx(config) && good;
  if (*config->mongo_uri == '\0' && *config->redis_url == '\0' && *config->telnyx_api_key == '\0')
    puts("no server is configured: mongo.uri, redis.url and telnyx.api_key are empty");
  return good ? EXIT_DONE : cli_failed("check", "not every server is as it must be");
}

int command_check(int argc, char **argv) {
  static const char allowed[] = "-c FILE, -o section.key=value and --connect";
  static const struct option words[] = {{"connect", no_argument, NULL, 256}, {NULL, 0, NULL, 0}};
  struct cli cli;
  struct config config;
  bool to_servers = false;
  int option;
  cli_begin(&cli, "check");
  opterr = 0;
  while ((option = getopt_long(argc, argv, ":c:o:", words, NULL)) != -1) {
    if (option == 256)
      to_servers = true;
    else if (!cli_option(&cli, option, optarg))
      return cli_wrong_option("check", option, argv, allowed);
  }
  if (optind < argc) return cli_usage("check", "%s: one word too many; allowed: %s", argv[optind], allowed);
  int status = cli_config(&cli, &config);
  if (status != EXIT_DONE) return status;
  status = cli_check_tls("check", &config);
  if (status == EXIT_DONE) status = cli_check_servers("check", &config);
  if (status == EXIT_DONE) puts("the configuration is good");
  if (status == EXIT_DONE && to_servers) status = connect_all(&config);
  config_free(&config);
  return status;
}
