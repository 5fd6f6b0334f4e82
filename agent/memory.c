#include "agent/memory.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t bytes);
int __real_vasprintf(char **out, const char *format, va_list args);

void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t bytes);
int __wrap_vasprintf(char **out, const char *format, va_list args);
int __wrap_asprintf(char **out, const char *format, ...);

static _Thread_local uint64_t here;
static _Atomic uint64_t everywhere;

uint64_t memory_refusals(void) {
  return here;
}

uint64_t memory_refusals_all(void) {
  return atomic_load(&everywhere);
}

static void note(bool refused) {
  if (!refused) return;
  here++;
  atomic_fetch_add(&everywhere, 1);
}

void *__wrap_malloc(size_t bytes) {
  void *block = __real_malloc(bytes);
  note(block == NULL && bytes > 0);
  return block;
}

void *__wrap_calloc(size_t count, size_t bytes) {
  void *block = __real_calloc(count, bytes);
  note(block == NULL && count > 0 && bytes > 0);
  return block;
}

void *__wrap_realloc(void *old, size_t bytes) {
  void *block = __real_realloc(old, bytes);
  note(block == NULL && bytes > 0);
  return block;
}

char *__wrap_strdup(const char *text) {
  char *copy = __real_strdup(text);
  note(copy == NULL);
  return copy;
}

char *__wrap_strndup(const char *text, size_t bytes) {
  char *copy = __real_strndup(text, bytes);
  note(copy == NULL);
  return copy;
}

int __wrap_vasprintf(char **out, const char *format, va_list args) {
  int length = __real_vasprintf(out, format, args);
  note(length < 0);
  return length;
}

int __wrap_asprintf(char **out, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int length = __wrap_vasprintf(out, format, args);
  va_end(args);
  return length;
}
