/* config/options.c, value.c, forms.c, print.c: the table holds together, and the sample file is it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "config/options.h"

/* Contract 2's keys and defaults, in its order. */
static const char *const contract[][2] = {
    {"agent.id", ""},
    {"agent.drain_s", "0"},
    {"listen.public", "127.0.0.1:8480"},
    {"listen.admin", "127.0.0.1:8481"},
    {"listen.tls_certificate", ""},
    {"listen.tls_private_key", ""},
    {"telnyx.public_key", ""},
    {"telnyx.stream_token", ""},
    {"telnyx.insecure", "no"},
    {"telnyx.signature_tolerance_s", "300"},
    {"telnyx.api_key", ""},
    {"telnyx.auto_stream", "no"},
    {"telnyx.stream_url", ""},
    {"calls.party", "inbound=lead"},
    {"quality.plc", "no"},
    {"quality.consumer", "playout"},
    {"store.dir", "./var"},
    {"store.max_bytes", "10 GiB"},
    {"store.keep_delivered", "24 h"},
    {"mongo.uri", ""},
    {"mongo.database", "bmad_v4"},
    {"mongo.collection", "calllogs"},
    {"mongo.lead_lookup", "no"},
    {"mongo.interim_s", "60"},
    {"mongo.server_selection_ms", "5000"},
    {"mongo.socket_ms", "10000"},
    {"redis.url", ""},
    {"redis.prefix", "sidetone:"},
    {"redis.live_interval_ms", "1000"},
    {"redis.timeout_ms", "2000"},
    {"redis.queue_max", "1000000"},
    {"redis.group_timeout_h", "168"},
    {"recording.enabled", "no"},
    {"recording.dir", ""},
    {"admin.token", ""},
    {"capture.fixtures", ""},
    {"log.level", "info"},
    {"log.format", "auto"},
    {"log.numbers", "no"},
};

static const struct option *row_of(const char *name) {
  char section[64];
  bool from_file;
  snprintf(section, sizeof section, "%.*s", (int)strcspn(name, "."), name);
  const struct option *row = option_find(section, strchr(name, '.') + 1, &from_file);
  if (row == NULL || from_file) fail_msg("%s is not in the table", name);
  return row;
}

static void every_promised_option_is_there(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof contract / sizeof *contract; i++)
    assert_string_equal(row_of(contract[i][0])->initial, contract[i][1]);
}

static void rows_hold_together(void **state) {
  (void)state;
  for (size_t i = 0; i < option_count; i++) {
    const struct option *row = &option_rows[i];
    struct option_value value;
    bool from_file;
    assert_ptr_equal(option_find(row->section, row->key, &from_file), row);
    assert_false(from_file);
    if (!option_parse(row, row->initial, &value)) fail_msg("%s.%s: its own default", row->section, row->key);
    assert_true(strlen(row->meaning) > 0 && strchr(row->meaning, '\t') == NULL);
    bool number = row->type == OPTION_INTEGER || row->type == OPTION_BYTES || row->type == OPTION_DURATION;
    assert_true(number == (row->max > 0));
    assert_true((row->accepts != NULL) == (row->allowed != NULL));
    for (size_t k = 0; k < i && !row->later; k++)
      if (!option_rows[k].later) assert_int_not_equal(option_rows[k].offset, row->offset);
  }
}

static void the_file_form_belongs_to_secrets(void **state) {
  (void)state;
  bool from_file;
  assert_ptr_equal(option_find("admin", "token_file", &from_file), row_of("admin.token"));
  assert_true(from_file);
  assert_null(option_find("log", "level_file", &from_file));
  assert_null(option_find("admin", "token_files", &from_file));
  assert_null(option_find("admin", "toke", &from_file));
  assert_null(option_find("", "", &from_file));
}

static void values(void **state) {
  (void)state;
  static const struct {
    const char *name, *text;
    int64_t number; /* -1: refused */
  } cases[] = {
      {"log.numbers", "yes", 1},
      {"log.numbers", "False", 0},
      {"log.numbers", "", -1},
      {"log.numbers", "2", -1},
      {"log.level", "error", 0},
      {"log.level", "debug", 3},
      {"log.level", "Debug", -1},
      {"telnyx.signature_tolerance_s", "1", 1},
      {"telnyx.signature_tolerance_s", "86400", 86400},
      {"telnyx.signature_tolerance_s", "86401", -1},
      {"telnyx.signature_tolerance_s", "0", -1},
      {"telnyx.signature_tolerance_s", "+5", -1},
      {"telnyx.signature_tolerance_s", "5 ", -1},
      {"telnyx.signature_tolerance_s", "0x10", -1},
      {"telnyx.signature_tolerance_s", "", -1},
      {"redis.queue_max", "9223372036854775807", INT64_MAX},
      {"redis.queue_max", "9223372036854775808", -1},
      {"store.max_bytes", "10 GiB", 10LL << 30},
      {"store.max_bytes", "512MiB", 512 << 20},
      {"store.max_bytes", "8192 KiB", 8 << 20},
      {"store.max_bytes", "4194304", 4 << 20},
      {"store.max_bytes", "1024 TiB", 1LL << 50},
      {"store.max_bytes", "4194303", -1},
      {"store.max_bytes", "1025 TiB", -1},
      {"store.max_bytes", "18446744073709551617 GiB", -1},
      {"store.max_bytes", "10 GB", -1},
      {"store.max_bytes", "10 gib", -1},
      {"store.max_bytes", "10 GiB ", -1},
      {"store.max_bytes", " 10 GiB", -1},
      {"store.max_bytes", "-1 GiB", -1},
      {"store.max_bytes", "1.5 GiB", -1},
      {"store.max_bytes", "GiB", -1},
      {"store.max_bytes", "", -1},
      {"store.keep_delivered", "24 h", 86400},
      {"store.keep_delivered", "30 min", 1800},
      {"store.keep_delivered", "90s", 90},
      {"store.keep_delivered", "7 d", 7 * 86400},
      {"store.keep_delivered", "0 s", 0},
      {"store.keep_delivered", "24", -1},
      {"store.keep_delivered", "24 hours", -1},
      {"store.keep_delivered", "3651 d", -1},
      {"calls.party", "inbound=agent", 1},
      {"quality.consumer", "asr", -1},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct option_value value;
    bool taken = option_parse(row_of(cases[i].name), cases[i].text, &value);
    if (taken != (cases[i].number >= 0)) fail_msg("%s = \"%s\"", cases[i].name, cases[i].text);
    if (taken) assert_int_equal(value.number, cases[i].number);
  }
}

static void addresses(void **state) {
  (void)state;
  static const char *const loopback[] = {"127.0.0.1:0",    "127.9.9.9:65535",         "[::1]:8480",
                                         "localhost:8480", "[::ffff:127.0.0.1]:8480", "LOCALHOST:1"};
  static const char *const others[] = {
      "0.0.0.0:8480", "10.1.2.3:80", "[::]:80", "[2001:db8::1]:443", "edge-1.example.org:8480",
      "128.0.0.1:1"};
  static const char *const wrong[] = {
      "",       ":8480",    "127.0.0.1",    "127.0.0.1:", "127.0.0.1:65536", "1.2.3:80",
      "::1:80", "[::1]",    "[::1]80",      "[::1:80",    "[1.2.3.4]:80",    "a b:80",
      "*:80",   "host:80x", "256.1.1.1:80", "-a:80",      "host:-1",         "h:123456",
      "[]:80",  "[:80"};
  for (size_t i = 0; i < sizeof loopback / sizeof *loopback; i++)
    if (!is_address(loopback[i]) || !form_address_is_loopback(loopback[i])) fail_msg("%s", loopback[i]);
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    if (!is_address(others[i]) || form_address_is_loopback(others[i])) fail_msg("%s", others[i]);
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    if (is_address(wrong[i])) fail_msg("%s", wrong[i]);
}

static void public_keys(void **state) {
  (void)state;
  assert_true(is_public_key_list("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="));
  assert_true(
      is_public_key_list(" 11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo= \t"
                         "//////////////////////////////////////////8="));
  assert_false(is_public_key_list(" "));
  assert_false(is_public_key_list("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));   /* no padding */
  assert_false(is_public_key_list("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB="));  /* 258 bits */
  assert_false(is_public_key_list("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="));  /* 31 bytes */
  assert_false(is_public_key_list("AAAA-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="));  /* URL alphabet */
  assert_false(is_public_key_list("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=,")); /* not a blank */
}

static void names_and_tokens(void **state) {
  (void)state;
  char long_name[66] = {0};
  memset(long_name, 'a', 65);
  assert_false(is_agent_id(long_name));
  assert_true(is_agent_id(long_name + 1));
  assert_true(is_agent_id("edge-1-Z"));
  assert_false(is_agent_id("edge_1"));
  assert_false(is_agent_id("edge.1"));
  assert_true(is_token("a!~/+=9"));
  assert_false(is_token("a b"));
  assert_false(is_token("a\xc3\xa9"));
}

static char *printed(void (*print)(void *file)) {
  char *text = NULL;
  size_t bytes = 0;
  FILE *file = open_memstream(&text, &bytes);
  assert_non_null(file);
  print(file);
  fclose(file);
  return text;
}

static void the_sample_file_equals_the_table(void **state) {
  (void)state;
  static char file_text[65536];
  char *text = printed(config_print_sample);
  FILE *file = fopen("config/sidetone.conf", "r");
  assert_non_null(file);
  file_text[fread(file_text, 1, sizeof file_text - 1, file)] = 0;
  fclose(file);
  assert_string_equal(file_text, text);
  free(text);
}

/* Every `#key = default` taken in by removing the #: the sample is a valid file. */
static void the_sample_file_can_be_used(void **state) {
  (void)state;
  char *text = printed(config_print_sample), why[512] = "";
  struct config config;
  size_t uncommented = 0;
  for (char *at = text; (at = strstr(at, "\n#")) != NULL; at++) {
    if (at[2] == ' ') continue;
    at[1] = ' ';
    uncommented++;
  }
  /* The two forms of a secret exclude each other. */
  for (char *at = text; (at = strstr(at, "_file =")) != NULL; at++) {
    char *start = at;
    while (*start != '\n') start--;
    start[1] = '#';
  }
  assert_true(uncommented >= option_count);
  if (config_load_text(&config, "sample", text, strlen(text), why, sizeof why) != 0) fail_msg("%s", why);
  assert_string_equal(config.listen_public, "127.0.0.1:8480");
  config_free(&config);
  free(text);
}

static void the_listing_has_five_columns(void **state) {
  (void)state;
  char *text = printed(config_print_options);
  size_t lines = 0, secrets = 0;
  for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"), lines++) {
    size_t tabs = 0;
    for (const char *c = line; *c != 0; c++) tabs += *c == '\t';
    if (tabs != 4) fail_msg("%s", line);
  }
  for (size_t i = 0; i < option_count; i++) secrets += option_rows[i].secret;
  assert_int_equal(lines, option_count + secrets);
  free(text);
  text = printed(config_print_options);
  assert_non_null(strstr(text, "telnyx.signature_tolerance_s\tinteger 1..86400\t300\ts\thow far"));
  assert_non_null(strstr(
      text, "postgres.url\tsecret\t\t\tPostgreSQL of the analytics schema; empty: off; not built yet\n"));
  assert_non_null(strstr(text, "admin.token_file\ttext\t\t\tfile that holds admin.token\n"));
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_promised_option_is_there),
      cmocka_unit_test(rows_hold_together),
      cmocka_unit_test(the_file_form_belongs_to_secrets),
      cmocka_unit_test(values),
      cmocka_unit_test(addresses),
      cmocka_unit_test(public_keys),
      cmocka_unit_test(names_and_tokens),
      cmocka_unit_test(the_sample_file_equals_the_table),
      cmocka_unit_test(the_sample_file_can_be_used),
      cmocka_unit_test(the_listing_has_five_columns),
  };
  return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
