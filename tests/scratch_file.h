/* A folder of a test's own for the files it reads back; emptied at the end. */
#ifndef TESTS_SCRATCH_FILE_H
#define TESTS_SCRATCH_FILE_H

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char scratch_folder[256];

static inline int scratch_begin(void **state) {
  (void)state;
  const char *root = getenv("TMPDIR");
  snprintf(scratch_folder, sizeof scratch_folder, "%s/sidetone-test-XXXXXX", root != NULL ? root : "/tmp");
  return mkdtemp(scratch_folder) != NULL ? 0 : -1;
}

static inline int scratch_end(void **state) {
  (void)state;
  DIR *folder = opendir(scratch_folder);
  for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
    char path[600];
    snprintf(path, sizeof path, "%s/%s", scratch_folder, entry->d_name);
    if (entry->d_name[0] != '.') unlink(path);
  }
  if (folder != NULL) closedir(folder);
  return rmdir(scratch_folder);
}

/* The path of a file in the folder; good until the fourth next call. */
static inline const char *scratch_path(const char *name) {
  static char paths[4][512];
  static unsigned next;
  char *path = paths[next++ % 4];
  snprintf(path, sizeof paths[0], "%s/%s", scratch_folder, name);
  return path;
}

static inline const char *scratch_bytes(const char *name, const void *bytes, size_t count) {
  const char *path = scratch_path(name);
  FILE *f = fopen(path, "wb");
  if (f == NULL || fwrite(bytes, 1, count, f) != count || fclose(f) != 0) abort();
  return path;
}

static inline const char *scratch_text(const char *name, const char *text) {
  return scratch_bytes(name, text, strlen(text));
}

/* Little-endian 16-bit PCM WAV, `frames` of `channels` samples. */
static inline const char *scratch_wav(const char *name, uint32_t rate_hz, uint16_t channels,
                                      const int16_t *pcm, size_t frames) {
  uint32_t data = (uint32_t)(frames * channels * 2), riff = data + 36, bytes_s = rate_hz * channels * 2,
           sixteen = 16;
  uint16_t format = 1, block = (uint16_t)(channels * 2), bits = 16;
  uint8_t *file = malloc(data + 44);
  memcpy(file, "RIFF....WAVEfmt ", 16);
  memcpy(file + 4, &riff, 4);
  memcpy(file + 16, &sixteen, 4);
  memcpy(file + 20, &format, 2);
  memcpy(file + 22, &channels, 2);
  memcpy(file + 24, &rate_hz, 4);
  memcpy(file + 28, &bytes_s, 4);
  memcpy(file + 32, &block, 2);
  memcpy(file + 34, &bits, 2);
  memcpy(file + 36, "data", 4);
  memcpy(file + 40, &data, 4);
  memcpy(file + 44, pcm, data);
  const char *path = scratch_bytes(name, file, data + 44);
  free(file);
  return path;
}

#endif
