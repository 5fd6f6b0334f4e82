/* Secrets that stand in files of their own. */
#ifndef CONFIG_SECRET_H
#define CONFIG_SECRET_H

#include <stdbool.h>
#include <stddef.h>

enum { SECRET_MAX_BYTES = 4096 };

bool secret_exists(const char *path);
/* Reads the file's one line into `out`, its line end removed. Only regular files. 0, or -1 with what is
 * wrong with the file (never its content) in `problem`. */
int secret_read(const char *path, char out[SECRET_MAX_BYTES + 1], char *problem, size_t problem_bytes);

#endif
