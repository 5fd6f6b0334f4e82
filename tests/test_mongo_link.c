/* store/mongo_link.c: what the URI may say, what is fixed, and that no error shows a password. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "store/mongo_link.h"

static char why[512];

static int init(struct mongo_link *l, const char *uri) {
  const struct mongo_options options = {
      .uri = uri, .database = "d", .collection = "c", .server_selection_ms = 5000, .socket_ms = 10000};
  why[0] = '\0';
  return mongo_link_init(l, &options, false, why, sizeof why);
}

static int32_t number(const struct mongo_link *l, const char *option) {
  return mongoc_uri_get_option_as_int32(l->uri, option, -1);
}

static void options_fill_what_the_uri_leaves_open(void **state) {
  (void)state;
  struct mongo_link l;
  assert_int_equal(init(&l, "mongodb://host/"), 0);
  assert_int_equal(number(&l, MONGOC_URI_SERVERSELECTIONTIMEOUTMS), 5000);
  assert_int_equal(number(&l, MONGOC_URI_CONNECTTIMEOUTMS), 5000);
  assert_int_equal(number(&l, MONGOC_URI_SOCKETTIMEOUTMS), 10000);
  assert_string_equal(mongoc_uri_get_appname(l.uri), "sidetone");
  assert_false(mongoc_uri_get_option_as_bool(l.uri, MONGOC_URI_SERVERSELECTIONTRYONCE, true));
  assert_false(mongoc_uri_has_option(l.uri, MONGOC_URI_RETRYWRITES));
  mongo_link_free(&l);
}

static void what_the_uri_says_of_times_holds(void **state) {
  (void)state;
  struct mongo_link l;
  assert_int_equal(init(&l,
                        "mongodb://host/?serverSelectionTimeoutMS=1&connectTimeoutMS=2&socketTimeoutMS=3000&"
                        "appName=mine&retryWrites=false"),
                   0);
  assert_int_equal(number(&l, MONGOC_URI_SERVERSELECTIONTIMEOUTMS), 1);
  assert_int_equal(number(&l, MONGOC_URI_CONNECTTIMEOUTMS), 2);
  assert_int_equal(number(&l, MONGOC_URI_SOCKETTIMEOUTMS), 3000);
  assert_int_equal(l.socket_ms, 3000);
  assert_string_equal(mongoc_uri_get_appname(l.uri), "mine");
  assert_false(mongoc_uri_get_option_as_bool(l.uri, MONGOC_URI_RETRYWRITES, true));
  mongo_link_free(&l);
  assert_int_equal(init(&l, "mongodb://host/?socketTimeoutMS=0"), 0); /* for ever, to the driver */
  assert_int_equal(number(&l, MONGOC_URI_SOCKETTIMEOUTMS), 10000);
  mongo_link_free(&l);
}

static void the_uri_cannot_weaken_what_exactness_stands_on(void **state) {
  (void)state;
  struct mongo_link l;
  struct sink_outcome outcome;
  assert_int_equal(init(&l,
                        "mongodb://host/?w=1&wtimeoutMS=1&journal=false&readPreference=secondary&"
                        "readConcernLevel=available&maxStalenessSeconds=120"),
                   0);
  assert_int_equal(mongo_link_open(&l, &outcome), 0);
  const mongoc_write_concern_t *writes = mongoc_collection_get_write_concern(l.calls);
  assert_true(mongoc_write_concern_get_wmajority(writes));
  assert_int_equal(mongoc_write_concern_get_wtimeout(writes), 9000); /* before the socket's 10 s */
  assert_false(mongoc_write_concern_journal_is_set(writes));
  assert_int_equal(mongoc_read_prefs_get_mode(mongoc_collection_get_read_prefs(l.calls)),
                   MONGOC_READ_PRIMARY);
  assert_string_equal(mongoc_read_concern_get_level(mongoc_collection_get_read_concern(l.calls)), "local");
  assert_string_equal(mongoc_collection_get_name(l.calls), "c");
  mongo_link_free(&l);
  assert_int_equal(init(&l, "mongodb://host/?w=0"), 0);
  assert_int_equal(mongo_link_open(&l, &outcome), 0);
  assert_true(mongoc_write_concern_is_acknowledged(mongoc_collection_get_write_concern(l.calls)));
  mongo_link_free(&l);
}

static void credentials_hosts_and_tls_are_the_drivers(void **state) {
  (void)state;
  struct mongo_link l;
  assert_int_equal(init(&l, "mongodb://user:p%40ss@a:1,b:2/auth?replicaSet=rs&tls=true"), 0);
  assert_string_equal(mongoc_uri_get_password(l.uri), "p@ss");
  assert_string_equal(mongoc_uri_get_replica_set(l.uri), "rs");
  assert_true(mongoc_uri_get_tls(l.uri));
  assert_string_equal(mongoc_uri_get_hosts(l.uri)->next->host, "b");
  mongo_link_free(&l);
  assert_int_equal(init(&l, "mongodb+srv://user:word@cluster.example.org/"), 0);
  mongo_link_free(&l);
}

static void a_malformed_uri_is_told_without_its_password(void **state) {
  (void)state;
  static const char *const uris[] = {
      "mongodb://user:zqxjkv/zqxjkv@host/",
      "mongodb://user:zqxjkv@zqxjkv@host/",
      "mongodb://user:zqxjkv?zqxjkv@host/",
      "mongodb://user:zqxjkv%zqxjkv@host/",
      "mongodb://user:4711/zqxjkv@host/",
      "mongodb://user:zqxjkv#@host:port/",
      "mongodb://user:zqxjkv@host:99999999/",
      "mongodb://user:zqxjkv:zqxjkv@host/",
      "mongodb://user:zqxjkv@/",
      "mongodb://user:zqxjkv",
      "mongodb+srv://user:zqxjkv@host/",
      "zqxjkv",
      "mongodb://host/?tlsCertificateKeyFilePassword=zqxjkv&tls=zqxjkv",
  };
  for (size_t i = 0; i < sizeof uris / sizeof *uris; i++) {
    struct mongo_link l;
    if (init(&l, uris[i]) == 0) fail_msg("taken: %s", uris[i]);
    if (strncmp(why, "malformed: ", 11) != 0 || strlen(why) < 17) fail_msg("%s: %s", uris[i], why);
    if (strstr(why, "zqx") != NULL || strstr(why, "4711") != NULL) fail_msg("%s: %s", uris[i], why);
  }
}

static void the_reason_is_told_where_it_can_be(void **state) {
  (void)state;
  struct mongo_link l;
  assert_int_equal(init(&l, "mongodb://user:secret@host/?tls=perhaps"), -1);
  assert_non_null(strstr(why, "perhaps"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(options_fill_what_the_uri_leaves_open),
      cmocka_unit_test(what_the_uri_says_of_times_holds),
      cmocka_unit_test(the_uri_cannot_weaken_what_exactness_stands_on),
      cmocka_unit_test(credentials_hosts_and_tls_are_the_drivers),
      cmocka_unit_test(a_malformed_uri_is_told_without_its_password),
      cmocka_unit_test(the_reason_is_told_where_it_can_be),
  };
  const int failed = cmocka_run_group_tests(tests, NULL, NULL);
  mongo_global_cleanup();
  return failed;
}
