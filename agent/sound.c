#include "agent/sound.h"

#include <errno.h>
#include <math.h>
#include <samplerate.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dsp/codec.h"

enum { BLOCK_FRAMES = 65536 };

static int16_t to_16_bit(float x) {
  float scaled = x * 32768.0f;
  if (scaled >= 32767.0f) return 32767;
  if (scaled <= -32768.0f) return -32768;
  return (int16_t)lrintf(scaled);
}

struct growing {
  int16_t *data;
  size_t count, size;
};

static bool append(struct growing *g, const float *x, size_t count, size_t stride) {
  if (g->count + count > g->size) {
    size_t size = (g->size + count) * 2;
    int16_t *grown = realloc(g->data, size * sizeof *grown);
    if (grown == NULL) return false;
    g->data = grown;
    g->size = size;
  }
  for (size_t i = 0; i < count; i++) g->data[g->count++] = to_16_bit(x[i * stride]);
  return true;
}

/* Block by block, so that an hour at 48 kHz needs no hour of floats. At 8 kHz nothing is resampled:
 * what a codec gave stays as it was. */
static bool convert(SNDFILE *file, const SF_INFO *info, struct growing *out) {
  size_t channels = (size_t)info->channels;
  double ratio = (double)SOUND_RATE_HZ / info->samplerate;
  size_t out_frames = (size_t)(BLOCK_FRAMES * ratio) + 1024;
  float *in = malloc(BLOCK_FRAMES * channels * sizeof *in),
        *block = malloc(out_frames * channels * sizeof *block);
  int error = 0;
  SRC_STATE *src = ratio != 1 ? src_new(SRC_SINC_MEDIUM_QUALITY, info->channels, &error) : NULL;
  bool good = in != NULL && block != NULL && (ratio == 1 || src != NULL);
  bool end = false;
  while (good && !end) {
    sf_count_t got = sf_readf_float(file, in, BLOCK_FRAMES);
    end = got < BLOCK_FRAMES;
    SRC_DATA data = {.data_in = in, .input_frames = (long)got, .src_ratio = ratio, .end_of_input = end};
    do {
      const float *from = in;
      size_t frames = (size_t)got;
      if (src != NULL) {
        data.data_out = block;
        data.output_frames = (long)out_frames;
        good = src_process(src, &data) == 0;
        data.data_in += data.input_frames_used * info->channels;
        data.input_frames -= data.input_frames_used;
        from = block;
        frames = (size_t)data.output_frames_gen;
      }
      for (size_t c = 0; good && c < channels; c++) good = append(&out[c], from + c, frames, channels);
    } while (good && src != NULL && (data.input_frames > 0 || (end && data.output_frames_gen > 0)));
  }
  if (src != NULL) src_delete(src);
  free(in);
  free(block);
  return good;
}

/* G.711 in a file clips where it does in a stream. */
static void note_limits(struct sound *s, int format) {
  const int coding = format & SF_FORMAT_SUBMASK;
  const struct codec *codec = coding == SF_FORMAT_ULAW   ? codec_row(CODEC_PCMU)
                              : coding == SF_FORMAT_ALAW ? codec_row(CODEC_PCMA)
                                                         : NULL;
  s->ceiling = codec != NULL ? codec->pcm_ceiling : INT16_MAX;
  s->idle = codec != NULL ? codec->pcm_idle : 0;
}

bool sound_is_file(const char *path, char *why, size_t why_bytes) {
  struct stat st;
  if (stat(path, &st) != 0) {
    snprintf(why, why_bytes, "%s: %s", path, strerror(errno));
    return false;
  }
  if (S_ISREG(st.st_mode)) return true;
  snprintf(why, why_bytes, "%s: a regular file is needed: no folder, pipe or device", path);
  return false;
}

bool sound_read(struct sound *out, const char *path, char *why, size_t why_bytes) {
  SF_INFO info = {0};
  memset(out, 0, sizeof *out);
  if (!sound_is_file(path, why, why_bytes)) return false;
  SNDFILE *file = sf_open(path, SFM_READ, &info);
  if (file == NULL) {
    /* libsndfile says "System error" for what the system has better words for. */
    const char *words = access(path, R_OK) != 0 ? strerror(errno)
                        : sf_error(NULL) == SF_ERR_UNRECOGNISED_FORMAT
                            ? "no audio file that is known here (WAV, FLAC, Ogg and the like), and no capture"
                            : sf_strerror(NULL);
    snprintf(why, why_bytes, "%s: %s", path, words);
    return false;
  }
  bool good = info.channels >= 1 && info.channels <= 2 && info.samplerate >= 8000 && info.samplerate <= 48000;
  if (!good) {
    snprintf(why, why_bytes, "%s: %d Hz, %d channels; 8000 to 48000 Hz and one or two channels are allowed",
             path, info.samplerate, info.channels);
  } else {
    struct growing grown[2] = {{0}, {0}};
    good = convert(file, &info, grown);
    if (!good) snprintf(why, why_bytes, "%s: it cannot be read to its end", path);
    out->channels = (size_t)info.channels;
    out->samples = grown[0].count;
    note_limits(out, info.format);
    out->duration_ms = (int64_t)((double)info.frames * 1000.0 / info.samplerate);
    out->pcm[0] = grown[0].data;
    out->pcm[1] = grown[1].data;
  }
  sf_close(file);
  if (!good) sound_free(out);
  return good;
}

void sound_free(struct sound *s) {
  free(s->pcm[0]);
  free(s->pcm[1]);
  memset(s, 0, sizeof *s);
}

/* ---- as it is -------------------------------------------------------------------------------- */

enum { NEXT_FRAMES = 4096, STEP_HZ = 4000, WIDE_HZ = 16000 };

struct sound_reader {
  SNDFILE *file;
  SRC_STATE *src; /* NULL: it has its own rate */
  double ratio;
  int channels;
  float in[NEXT_FRAMES * 2], out[NEXT_FRAMES * 2];
};

static long more(void *arg, float **data) {
  struct sound_reader *r = arg;
  *data = r->in;
  return (long)sf_readf_float(r->file, r->in, NEXT_FRAMES);
}

struct sound_reader *sound_open(const char *path, uint32_t *rate_hz) {
  SF_INFO info = {0};
  int error;
  struct sound_reader *r = calloc(1, sizeof *r);
  if (r == NULL) return NULL;
  r->file = sf_open(path, SFM_READ, &info);
  r->channels = info.channels;
  *rate_hz = (uint32_t)info.samplerate;
  bool good = r->file != NULL && info.channels >= 1 && info.channels <= 2;
  if (good && info.samplerate % STEP_HZ != 0) {
    *rate_hz = info.samplerate > WIDE_HZ ? WIDE_HZ : SOUND_RATE_HZ;
    r->ratio = (double)*rate_hz / info.samplerate;
    r->src = src_callback_new(more, SRC_SINC_MEDIUM_QUALITY, info.channels, &error, r);
    good = r->src != NULL;
  }
  if (good) return r;
  sound_close(r);
  return NULL;
}

size_t sound_next(struct sound_reader *r, int16_t *const pcm[2], size_t count) {
  size_t done = 0;
  while (done < count) {
    size_t want = count - done < NEXT_FRAMES ? count - done : NEXT_FRAMES;
    long got = r->src != NULL ? src_callback_read(r->src, r->ratio, (long)want, r->out)
                              : (long)sf_readf_float(r->file, r->out, (sf_count_t)want);
    if (got <= 0) break;
    for (int c = 0; c < r->channels; c++)
      for (long i = 0; i < got; i++) pcm[c][done + (size_t)i] = to_16_bit(r->out[i * r->channels + c]);
    done += (size_t)got;
  }
  return done;
}

void sound_close(struct sound_reader *r) {
  if (r == NULL) return;
  if (r->src != NULL) src_delete(r->src);
  if (r->file != NULL) sf_close(r->file);
  free(r);
}
