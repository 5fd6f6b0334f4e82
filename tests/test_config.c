/* config/config.c and secret.c: layers, secrets, messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "config/config.h"
#include "tests/scratch_file.h"

static char conf_path[512];
static char why[1024], warnings[4096];

/* Of the machine: nothing; of a test: what it sets. */
static int clean_environment(void **state) {
  (void)state;
  clearenv();
  *warnings = 0;
  unlink(conf_path);
  return 0;
}

static int begin(void **state) {
  if (scratch_begin(state) != 0) return -1;
  snprintf(conf_path, sizeof conf_path, "%s/s.conf", scratch_folder);
  return 0;
}

static void on_warning(void *arg, const char *text) {
  (void)arg;
  strncat(strncat(warnings, text, 1000), "\n", 2);
}

/* `text` NULL: no file. `override` NULL: none. */
static int load(struct config *config, const char *text, const char *override) {
  const char *const overrides[] = {override};
  struct config_source source = {.overrides = overrides, .override_count = override != NULL};
  if (text != NULL) {
    scratch_text("s.conf", text);
    source.file = conf_path;
  }
  *why = 0;
  return config_load(config, &source, why, sizeof why, on_warning, NULL);
}

static void expect_refusal(const char *text, const char *override, const char *message) {
  struct config config;
  if (load(&config, text, override) == 0) fail_msg("taken: %s %s", text, override);
  if (strstr(why, message) == NULL) fail_msg("\"%s\" does not say \"%s\"", why, message);
}

static void expect_taken(struct config *config, const char *text, const char *override) {
  if (load(config, text, override) != 0) fail_msg("%s", why);
}

static void defaults(void **state) {
  (void)state;
  struct config c;
  expect_taken(&c, NULL, NULL);
  assert_string_equal(c.listen_public, "127.0.0.1:8480");
  assert_string_equal(c.listen_admin, "127.0.0.1:8481");
  assert_string_equal(c.store_dir, "./var");
  assert_string_equal(c.agent_id, "");
  assert_int_equal(c.telnyx_signature_tolerance_s, 300);
  assert_int_equal(c.log_level, 2);
  assert_int_equal(c.log_format, 0);
  assert_false(c.telnyx_insecure || c.quality_plc || c.quality_consumer_asr_stream || c.log_numbers ||
               c.calls_party_inbound_is_agent);
  assert_string_equal(warnings, "");
  config_free(&c);
}

static void later_layers_win(void **state) {
  (void)state;
  struct config c;
  expect_taken(&c, "[log]\nlevel = error\n[calls]\nparty = inbound=agent\n", NULL);
  assert_int_equal(c.log_level, 0);
  assert_true(c.calls_party_inbound_is_agent);
  config_free(&c);
  setenv("SIDETONE_LOG_LEVEL", "warn", 1);
  setenv("SIDETONE_STORE_DIR", "", 1);
  expect_taken(&c, "[log]\nlevel = error\n", NULL);
  assert_int_equal(c.log_level, 1);
  assert_string_equal(c.store_dir, "./var");
  config_free(&c);
  expect_taken(&c, "[log]\nlevel = error\n", "log.level=debug");
  assert_int_equal(c.log_level, 3);
  config_free(&c);
}

static void names_of_the_stack(void **state) {
  (void)state;
  struct config c;
  const char *key = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
  setenv("TELNYX_PUBLIC_KEY", key, 1);
  setenv("MONGODB_URI", "mongodb://user:geheim@db/", 1);
  setenv("REDIS_URL", "redis://:geheim@cache", 1);
  setenv("POSTGRES_URL", "postgres://geheim", 1);
  setenv("TELNYX_API_KEY", "KEYgeheim", 1);
  expect_taken(&c, NULL, NULL);
  assert_string_equal(c.telnyx_public_key, key);
  assert_string_equal(c.mongo_uri, "mongodb://user:geheim@db/");
  assert_string_equal(c.redis_url, "redis://:geheim@cache");
  assert_string_equal(c.telnyx_api_key, "KEYgeheim");
  config_free(&c);
  assert_non_null(strstr(warnings, "POSTGRES_URL is set, but postgres.url is not used"));
  assert_null(strstr(warnings, "geheim"));
  setenv("SIDETONE_TELNYX_PUBLIC_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 1);
  expect_taken(&c, NULL, NULL);
  assert_string_equal(c.telnyx_public_key, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
  config_free(&c);
}

static void misspelt_names_are_warned_of(void **state) {
  (void)state;
  struct config c;
  setenv("SIDETONE_LOG_LEVLE", "debug", 1);
  setenv("SIDETONE_ADMIN_TOKEN_FILES", "geheim", 1);
  setenv("SIDETONE_SHARED", "/x", 1);
  setenv("SIDETONE", "/x", 1);
  setenv("SIDETONE_LOG", "/x", 1);
  setenv("SIDETONE_ADMIN_TOKEN", "t", 1);
  expect_taken(&c, NULL, NULL);
  config_free(&c);
  assert_non_null(strstr(warnings, "environment SIDETONE_LOG_LEVLE: no option has that name\n"));
  assert_non_null(strstr(warnings, "environment SIDETONE_ADMIN_TOKEN_FILES: no option has that name\n"));
  assert_int_equal(strlen(warnings), 2 * strlen("environment : no option has that name\n") +
                                         strlen("SIDETONE_LOG_LEVLESIDETONE_ADMIN_TOKEN_FILES"));
}

static void messages_name_file_line_key_value_and_what_is_allowed(void **state) {
  (void)state;
  char expected[1024];
  snprintf(expected, sizeof expected,
           "%s:3: log.level = \"loud\" is not allowed; allowed: error, warn, info or debug", conf_path);
  expect_refusal("# c\n[log]\nlevel = loud\n", NULL, expected);
  expect_refusal(NULL, "log.level=loud", "-o: log.level = \"loud\" is not allowed; allowed: error, ");
  expect_refusal("[listen]\npublic = nowhere\n", NULL, ":2: listen.public = \"nowhere\"");
  expect_refusal("[listen]\npublic =\n[log]\nlevel=x\n", NULL, ":2: listen.public = \"\"");
  expect_refusal("[telnyx]\nsignature_tolerance_s = 5 ; x\n", NULL,
                 "\"5 ; x\" is not allowed; allowed: a whole");
  expect_refusal("[telnyx]\npublic_key = abc\n", NULL, ":2: telnyx.public_key = \"abc\"");
  setenv("SIDETONE_LOG_NUMBERS", "maybe", 1);
  expect_refusal(NULL, NULL, "environment SIDETONE_LOG_NUMBERS: log.numbers = \"maybe\"");
}

static void what_is_unknown_or_given_twice(void **state) {
  (void)state;
  expect_refusal("[log]\nlevle = info\n", NULL,
                 ":2: unknown key log.levle; [log] has: level, format, numbers");
  expect_refusal("\n[logs]\n", NULL, ":2: unknown section [logs]; there are: agent, listen, ");
  expect_refusal("level = info\n", NULL, ":1: level stands before the first [section]");
  expect_refusal("[log]\nlevel = info\n[admin]\n[log]\nlevel = info\n", NULL,
                 ":5: log.level is given twice, first in line 2");
  expect_refusal("[log]\nLevel = info\n", NULL, "unknown key log.Level");
  expect_refusal(NULL, "log.levle=info", "-o: unknown key log.levle");
  expect_refusal(NULL, "loglevel", "section.key=value");
  expect_refusal(NULL, "level=a.b", "section.key=value");
  struct config c;
  const struct config_source source = {.file = "/nonexistent/sidetone.conf"};
  assert_int_equal(config_load(&c, &source, why, sizeof why, NULL, NULL), -1);
  assert_non_null(strstr(why, "/nonexistent/sidetone.conf: cannot be opened: No such file"));
}

static void options_that_are_not_built_yet(void **state) {
  (void)state;
  struct config c;
  expect_refusal("[postgres]\nurl = postgres://geheim\n", NULL,
                 ":2: postgres.url: this version cannot do that yet");
  assert_null(strstr(why, "geheim"));
  expect_refusal(NULL, "recording.enabled=yes", "-o: recording.enabled: this version cannot do that yet");
  expect_refusal("[postgres]\nurl_file = /x\n", NULL, "postgres.url: this version cannot do that yet");
  expect_taken(&c, "[mongo]\nuri =\nlead_lookup = false\ninterim_s = 060\n", "store.max_bytes=10 GiB");
  config_free(&c);
}

static void addresses_of_servers_name_their_scheme(void **state) {
  (void)state;
  struct config c;
  expect_refusal("[mongo]\nuri = http://geheim\n", NULL, ":2: mongo.uri: the value (secret, not shown)");
  assert_null(strstr(why, "geheim"));
  expect_refusal(NULL, "redis.url=redis://", "allowed: redis://HOST:PORT/DB");
  expect_refusal(NULL, "redis.url=localhost:6379", "redis.url");
  expect_refusal(NULL, "telnyx.stream_url=https://edge.example.net/telnyx/media", "allowed: wss://HOST");
  expect_refusal(NULL, "telnyx.api_base=api.telnyx.com", "allowed: https://HOST");
  expect_taken(&c, "[mongo]\nuri = mongodb+srv://db.example.net/\n[redis]\nurl = unix:///run/redis.sock\n",
               NULL);
  config_free(&c);
}

static void secrets_come_from_files_and_credentials(void **state) {
  (void)state;
  struct config c;
  char text[512];
  snprintf(text, sizeof text, "[admin]\ntoken_file = %s\n", scratch_text("tok", "from-file\r\n"));
  expect_taken(&c, text, NULL);
  assert_string_equal(c.admin_token, "from-file");
  config_free(&c);
  setenv("CREDENTIALS_DIRECTORY", scratch_folder, 1);
  scratch_text("admin.token", "from-credential\n");
  scratch_text("telnyx.stream_token", "stream-credential");
  expect_taken(&c, text, NULL);
  assert_string_equal(c.admin_token, "from-file");
  assert_string_equal(c.telnyx_stream_token, "stream-credential");
  config_free(&c);
  setenv("SIDETONE_ADMIN_TOKEN_FILE", scratch_text("tok", "by-name"), 1);
  expect_taken(&c, "[admin]\ntoken = plain\n", NULL);
  assert_string_equal(c.admin_token, "by-name");
  config_free(&c);
  expect_taken(&c, "[admin]\ntoken = plain\n", "admin.token=last");
  assert_string_equal(c.admin_token, "last");
  config_free(&c);
}

static void a_secret_is_in_no_message(void **state) {
  (void)state;
  static const char *const refused[] = {"[admin]\ntoken = ge heim\n", "[telnyx]\nstream_token = ge\theim\n"};
  char text[512];
  for (size_t i = 0; i < 2; i++) {
    expect_refusal(refused[i], NULL, "not shown");
    assert_null(strstr(why, "heim"));
  }
  expect_refusal(NULL, "admin.token=ge heim", "not shown");
  assert_null(strstr(why, "heim"));
  expect_refusal(NULL, "admintoken=geheim", "section.key=value");
  assert_null(strstr(why, "heim"));
  expect_refusal("[admin]\ntoken = a\ntoken = geheim\n", NULL, "given twice");
  assert_null(strstr(why, "heim"));
  snprintf(text, sizeof text, "[admin]\ntoken_file = %s\n", scratch_text("tok", "ge heim\n"));
  expect_refusal(text, NULL, "not shown");
  assert_null(strstr(why, "heim"));
}

static void secret_files_that_are_not(void **state) {
  (void)state;
  static const struct {
    const char *content, *message;
  } cases[] = {{"", "is empty"}, {"\n", "is empty"}, {"a\nb\n", "must hold one line"}};
  char text[512];
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    snprintf(text, sizeof text, "[admin]\ntoken_file = %s\n", scratch_text("tok", cases[i].content));
    expect_refusal(text, NULL, cases[i].message);
  }
  expect_refusal("[admin]\ntoken_file = /nonexistent\n", NULL,
                 ":2: admin.token_file: /nonexistent: No such file or directory");
  expect_refusal("[admin]\ntoken_file = /dev/null\n", NULL, "is not a regular file");
  expect_refusal("[admin]\ntoken = a\ntoken_file = /x\n", NULL, "admin.token and admin.token_file: give one");
}

static void options_that_need_each_other(void **state) {
  (void)state;
  struct config c;
  expect_refusal(
      "[listen]\nadmin = 0.0.0.0:8481\n", NULL,
      "listen.admin = \"0.0.0.0:8481\" can be reached from other machines: allowed only with admin.token");
  expect_taken(&c, "[listen]\nadmin = 0.0.0.0:8481\n", "admin.token=t");
  config_free(&c);
  expect_refusal("[listen]\ntls_certificate = /c.pem\n", NULL, "set both or none");
  expect_refusal("[listen]\ntls_private_key = /k.pem\n", NULL, "set both or none");
  expect_taken(&c, "[listen]\ntls_private_key = /k.pem\ntls_certificate = /c.pem\n", NULL);
  config_free(&c);
  expect_refusal("[store]\ndir =\n", NULL, "store.dir");
}

static void add_name(void *arg, const char *name) {
  strcat(strcat(arg, name), " ");
}

static void changes_are_named(void **state) {
  (void)state;
  static const char text[] =
      "[telnyx]\nsignature_tolerance_s = 60\nstream_token = geheim\ninsecure = yes\n"
      "[quality]\nconsumer = asr_stream\n[log]\nlevel = debug\n";
  struct config a, b;
  char names[512] = "";
  assert_int_equal(config_load_text(&a, "a", "", 0, why, sizeof why), 0);
  assert_int_equal(config_load_text(&b, "b", text, strlen(text), why, sizeof why), 0);
  config_each_change(&a, &a, add_name, names);
  assert_string_equal(names, "");
  config_each_change(&a, &b, add_name, names);
  assert_string_equal(names,
                      "telnyx.stream_token telnyx.insecure telnyx.signature_tolerance_s "
                      "quality.consumer log.level ");
  config_free(&a);
  config_free(&b);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup(function, clean_environment)
  const struct CMUnitTest tests[] = {
      TEST(defaults),
      TEST(later_layers_win),
      TEST(names_of_the_stack),
      TEST(misspelt_names_are_warned_of),
      TEST(messages_name_file_line_key_value_and_what_is_allowed),
      TEST(what_is_unknown_or_given_twice),
      TEST(options_that_are_not_built_yet),
      TEST(addresses_of_servers_name_their_scheme),
      TEST(secrets_come_from_files_and_credentials),
      TEST(a_secret_is_in_no_message),
      TEST(secret_files_that_are_not),
      TEST(options_that_need_each_other),
      TEST(changes_are_named),
  };
  return cmocka_run_group_tests_name("config", tests, begin, scratch_end);
}
