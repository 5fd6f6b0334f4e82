/* A store's files as kill -9 leaves them, copied and damaged. For test_salvage.c and test_store_damage.c. */
#ifndef TESTS_DAMAGE_HELPERS_H
#define TESTS_DAMAGE_HELPERS_H

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "tests/store_helpers.h"

enum { LEGS = 24, FACTS_PER_LEG = 4 }; /* three events and a part; besides a CallLog a leg */

static inline void path_in(const char *directory, const char *name, char out[160]) {
  snprintf(out, 160, "%s/%s", directory, name);
}

static inline off_t file_bytes(const char *directory, const char *name) {
  char path[160];
  struct stat st;
  path_in(directory, name, path);
  return stat(path, &st) == 0 ? st.st_size : -1;
}

/* What a fact or a document of that name must say. Long ones overflow their page. */
static inline const char *body_of(const char *leg, const char *id) {
  static char body[12000];
  unsigned seed = 2166136261u;
  for (const char *c = id; *c != 0; c++) seed = (seed ^ (unsigned char)*c) * 16777619u;
  for (const char *c = leg; *c != 0; c++) seed = (seed ^ (unsigned char)*c) * 16777619u;
  size_t bytes = seed % 7 == 0 ? 9000 : 60 + seed % 700, length;
  length = (size_t)snprintf(body, sizeof body, "{\"leg\":\"%s\",\"id\":\"%s\",\"text\":\"", leg, id);
  while (length < bytes) {
    seed = seed * 1103515245u + 12345u;
    body[length++] = (char)('a' + (seed >> 16) % 26);
  }
  strcpy(body + length, "\"}");
  return body;
}

static inline void leg_name(int leg, char out[32]) {
  snprintf(out, 32, "leg-%02d", leg);
}

/* The i-th of a leg: 0 to 2 an event, 3 the part. */
static inline void fact_name(int leg, int i, char out[32]) {
  snprintf(out, 32, i < 3 ? "event-%02d-%d" : "part_%02d_%d", leg, i);
}

static inline void put_fact(struct bench *b, int leg, int i) {
  char name[32], id[32];
  leg_name(leg, name);
  fact_name(leg, i, id);
  struct store_request r =
      i < 3 ? an_event(name, id, body_of(name, id)) : a_part(name, id, 5, false, body_of(name, id));
  r.deliver = true;
  assert_int_equal(bench_ask(b, r)->status, STORE_DONE);
}

static inline void put_leg(struct bench *b, int leg) {
  char name[32], id[32];
  for (int i = 0; i < FACTS_PER_LEG; i++) put_fact(b, leg, i);
  leg_name(leg, name);
  snprintf(id, sizeof id, "CALL_%02d", leg);
  assert_int_equal(bench_ask(b, a_calllog(name, id, 8, false, body_of(name, id)))->status, STORE_DONE);
}

static inline void copy_file(const char *from, const char *to) {
  char buffer[65536];
  ssize_t got;
  int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (in >= 0)
    while ((got = read(in, buffer, sizeof buffer)) > 0)
      assert_int_equal(write(out, buffer, (size_t)got), got);
  if (in >= 0) close(in);
  close(out);
}

static inline void empty_folder(const char *directory) {
  char path[600];
  DIR *folder = opendir(directory);
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    if (entry->d_name[0] == '.') continue;
    snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
    unlink(path);
  }
  closedir(folder);
}

/* The database and its log, as they stand, into an empty folder. */
static inline void copy_image(const char *from, const char *to) {
  char a[160], b[160];
  empty_folder(to);
  for (int i = 0; i < 2; i++) {
    const char *name = i == 0 ? "sidetone.db" : "sidetone.db-wal";
    if (file_bytes(from, name) < 0) continue;
    path_in(from, name, a);
    path_in(to, name, b);
    copy_file(a, b);
  }
}

static inline void write_bytes(const char *directory, const char *name, off_t at, const void *bytes,
                               size_t count) {
  char path[160];
  path_in(directory, name, path);
  int fd = open(path, O_WRONLY);
  assert_true(fd >= 0);
  assert_int_equal(pwrite(fd, bytes, count, at), count);
  close(fd);
}

static inline void flip_byte(const char *directory, const char *name, off_t at, unsigned char bits) {
  char path[160];
  unsigned char byte;
  path_in(directory, name, path);
  int fd = open(path, O_RDWR);
  assert_int_equal(pread(fd, &byte, 1, at), 1);
  byte ^= bits;
  assert_int_equal(pwrite(fd, &byte, 1, at), 1);
  close(fd);
}

static inline void cut_file(const char *directory, const char *name, off_t at) {
  char path[160];
  path_in(directory, name, path);
  assert_int_equal(truncate(path, at), 0);
}

/* Files whose name begins so. */
static inline int count_files(const char *directory, const char *beginning) {
  int count = 0;
  DIR *folder = opendir(directory);
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
    count += strncmp(entry->d_name, beginning, strlen(beginning)) == 0;
  closedir(folder);
  return count;
}

struct whole_facts { /* of one answer, whole: struct kept_answer shortens them */
  int genuine;
  const char *leg;
};

static inline void check_facts(void *arg, const struct store_answer *answer) {
  struct whole_facts *w = arg;
  if (answer->status != STORE_DONE) fail_msg("%s: %s", w->leg, answer->error);
  for (size_t i = 0; i < answer->fact_count; i++) {
    const struct store_fact *f = &answer->facts[i];
    const char *wanted = body_of(w->leg, f->id);
    if (f->body_bytes != strlen(wanted) || memcmp(f->body, wanted, f->body_bytes) != 0)
      fail_msg("a wrong fact of %s was handed out: %s: %.200s", w->leg, f->id, f->body);
  }
  w->genuine = (int)answer->fact_count;
}

/* How many facts of a leg are there; each must be what was written. */
static inline int facts_of(struct bench *b, const char *leg) {
  struct store_request r = the_leg(leg);
  struct whole_facts w = {.genuine = -1, .leg = leg};
  r.ticket = 1;
  assert_int_equal(store_submit(b->store, &r), 0);
  while (w.genuine < 0) {
    while (sem_wait(&b->woken) != 0) continue;
    store_collect(b->store, check_facts, &w);
  }
  return w.genuine;
}

struct whole_list {
  const char *directory;
  int rows;
};

static inline void check_list_row(void *arg, const struct store_call_row *row) {
  struct whole_list *w = arg;
  int leg = -1;
  assert_int_equal(sscanf(row->call_log_id, "CALL_%d", &leg), 1);
  assert_string_equal(row->status, "completed");
  assert_string_equal(row->to, "+4930222");
  w->rows++;
}

/* How many CallLogs the list shows; each row and each document that is handed out must be what was written. */
static inline int calllogs_of(struct bench *b, int *documents) {
  struct store_reader *reader;
  struct whole_list w = {.directory = b->directory};
  if (store_reader_open(&reader, b->directory, b->why, sizeof b->why) != 0) return -1;
  (void)store_reader_list(reader, check_list_row, &w);
  for (int leg = 0; leg < LEGS; leg++) {
    char name[32], id[32];
    leg_name(leg, name);
    snprintf(id, sizeof id, "CALL_%02d", leg);
    char *document = store_reader_get(reader, id);
    if (document != NULL) assert_string_equal(document, body_of(name, id));
    *documents += document != NULL;
    free(document);
  }
  store_reader_close(reader);
  return w.rows;
}

static inline void shut(struct bench *b) {
  if (b->store != NULL) store_close(b->store);
  b->store = NULL;
  while (sem_trywait(&b->woken) == 0) continue;
}

#endif
