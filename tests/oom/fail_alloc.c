/* LD_PRELOAD: one allocation of the program's own code fails. Calls from libraries always succeed: they are told
 * apart by the address they return to.
 * OOM_CONTROL names a file of 32 bytes that the test maps too:
 *   int64 countdown    allocations of ours until one fails; -1: none does
 *   uint64 fired       how many have failed
 *   uint64 count       allocations of ours so far
 *   uint64 address     where the newest one that failed was asked for, from the start of the program */
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);

struct control {
  _Atomic int64_t countdown;
  _Atomic uint64_t fired, count, address;
};

static struct control *control;
static uintptr_t base, text_begin, text_end;

static int find_program(struct dl_phdr_info *info, size_t size, void *arg) {
  (void)size;
  (void)arg;
  base = info->dlpi_addr;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *p = &info->dlpi_phdr[i];
    if (p->p_type != PT_LOAD || (p->p_flags & PF_X) == 0) continue;
    text_begin = base + p->p_vaddr;
    text_end = text_begin + p->p_memsz;
  }
  return 1; /* the first one is the program */
}

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("OOM_CONTROL");
  int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
  if (fd < 0) return;
  dl_iterate_phdr(find_program, NULL);
  void *place = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (place != MAP_FAILED) control = place;
}

/* Behind this function, malloc and its like, and agent/memory.c. */
__attribute__((noinline)) static uintptr_t who_asked(void) {
  void *frames[8];
  int count = backtrace(frames, 8);
  return count > 4 ? (uintptr_t)frames[4] - base : 0;
}

__attribute__((noinline)) static int fails(const void *caller) {
  uintptr_t at = (uintptr_t)caller;
  if (control == NULL || at < text_begin || at >= text_end) return 0;
  atomic_fetch_add(&control->count, 1);
  if (atomic_load(&control->countdown) < 0 || atomic_fetch_sub(&control->countdown, 1) != 0) return 0;
  atomic_fetch_add(&control->fired, 1);
  atomic_store(&control->address, who_asked());
  errno = ENOMEM;
  return 1;
}

#define FAILS fails(__builtin_return_address(0))

void *malloc(size_t bytes) {
  return FAILS ? NULL : __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes) {
  return FAILS ? NULL : __libc_calloc(count, bytes);
}

void *realloc(void *old, size_t bytes) {
  return FAILS ? NULL : __libc_realloc(old, bytes);
}

static char *copy(const char *text, size_t bytes) {
  char *out = __libc_malloc(bytes + 1);
  if (out == NULL) return NULL;
  memcpy(out, text, bytes);
  out[bytes] = 0;
  return out;
}

char *strdup(const char *text) {
  return FAILS ? NULL : copy(text, strlen(text));
}

char *strndup(const char *text, size_t bytes) {
  return FAILS ? NULL : copy(text, strnlen(text, bytes));
}

static int print(char **out, const char *format, va_list args) {
  va_list again;
  va_copy(again, args);
  int length = vsnprintf(NULL, 0, format, again);
  va_end(again);
  *out = length < 0 ? NULL : __libc_malloc((size_t)length + 1);
  return *out == NULL ? -1 : vsnprintf(*out, (size_t)length + 1, format, args);
}

int vasprintf(char **out, const char *format, va_list args) {
  return FAILS ? -1 : print(out, format, args);
}

int asprintf(char **out, const char *format, ...) {
  va_list args;
  if (FAILS) return -1;
  va_start(args, format);
  int length = print(out, format, args);
  va_end(args);
  return length;
}
