#include "config/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool secret_exists(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 || errno != ENOENT;
}

static const char *content_problem(char *text, size_t *bytes) {
  if (*bytes > SECRET_MAX_BYTES) return "holds more than 4096 bytes";
  if (*bytes > 0 && text[*bytes - 1] == '\n') --*bytes;
  if (*bytes > 0 && text[*bytes - 1] == '\r') --*bytes;
  if (*bytes == 0) return "is empty";
  for (size_t i = 0; i < *bytes; i++)
    if ((unsigned char)text[i] < ' ' || text[i] == 127) return "must hold one line of text";
  return NULL;
}

int secret_read(const char *path, char out[SECRET_MAX_BYTES + 1], char *problem, size_t problem_bytes) {
  char buffer[SECRET_MAX_BYTES + 3];
  struct stat st;
  size_t bytes = 0;
  ssize_t got = 0;
  const char *wrong = NULL;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0 || fstat(fd, &st) != 0)
    wrong = strerror(errno);
  else if (!S_ISREG(st.st_mode))
    wrong = "is not a regular file";
  while (wrong == NULL && (got = read(fd, buffer + bytes, sizeof buffer - bytes)) > 0) bytes += (size_t)got;
  if (wrong == NULL && got < 0) wrong = strerror(errno);
  if (fd >= 0) close(fd);
  if (wrong == NULL) wrong = content_problem(buffer, &bytes);
  if (wrong == NULL) {
    memcpy(out, buffer, bytes);
    out[bytes] = 0;
  } else {
    snprintf(problem, problem_bytes, "%.150s: %s", path, wrong);
  }
  explicit_bzero(buffer, sizeof buffer);
  return wrong == NULL ? 0 : -1;
}
