/* sidetone analyze: the same detector and rules on files, or the rules alone on labels, or the RTP streams of
 * a capture. */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/capture.h"
#include "agent/capture_file.h"
#include "agent/cli.h"
#include "agent/file_quality.h"
#include "agent/fold.h"
#include "agent/labels.h"
#include "agent/sound.h"
#include "dsp/hearing.h"
#include "dsp/speech.h"
#include "dsp/vad.h"

enum { OPT_FRAMES = 256, OPT_SEGMENTS, OPT_LABELS, OPT_DURATION, OPT_CODEC };

enum output { OUTPUT_JSON, OUTPUT_FRAMES, OUTPUT_SEGMENTS };
/* Files have no time of day: 2026-01-01T00:00:00Z and their position (contract 1). */
#define FILE_EPOCH_MS 1767225600000LL

struct arguments {
  struct cli cli;
  enum output output;
  const char *labels;
  int64_t duration_ms;         /* -1: not given */
  struct capture_names *names; /* of --codec; owned, NULL without any */
};

struct analysis {
  struct speech *speech;
  struct file_quality *quality; /* NULL: not asked for, or there is no sound */
  enum output output;
  bool seen[2], headed;
  int64_t duration_ms;
};

struct listener {
  struct analysis *analysis;
  int track;
};

/* ---- what comes out -------------------------------------------------------------------------- */

/* Before the first row: not before it is known that there is something to say. */
static void print_segments_head(struct analysis *a) {
  if (!a->headed) puts("track,start_ms,end_ms,kind");
  a->headed = true;
}

static void print_segment(void *arg, const struct speech_note *note) {
  print_segments_head(arg);
  if (note->kind != SPEECH_IPU) return;
  printf("%s,%lld,%lld,speech\n", track_name(note->track), (long long)note->start_ms,
         (long long)note->end_ms);
}

/* NULL: no memory. */
static struct part *part_of(const struct analysis *a) {
  struct part *part = part_new();
  if (part == NULL) return NULL;
  snprintf(part->id, sizeof part->id, "analyze_1");
  part->n = 1;
  part->state = PART_CLOSED;
  part->opened_ms = part->start_ms = part->first_frame_ms = FILE_EPOCH_MS;
  part->closed_ms = part->last_frame_ms = FILE_EPOCH_MS + a->duration_ms;
  part->speech = malloc(sizeof *part->speech);
  if (part->speech == NULL) {
    part_free(part);
    return NULL;
  }
  speech_facts(a->speech, a->duration_ms, part->speech);
  for (int i = 0; i < TRACK_COUNT; i++) part->speech->present[i] = part->track[i].seen = a->seen[i];
  if (a->quality != NULL && !file_quality_part(a->quality, part)) {
    part_free(part);
    return NULL;
  }
  return part;
}

/* The file as a leg that was only heard: the fold names and rounds the figures as in a CallLog. */
static int print_json(const struct analysis *a, const struct config *config) {
  struct facts *facts = facts_new("file");
  struct part *part = facts != NULL ? part_of(a) : NULL;
  if (part == NULL) {
    facts_free(facts);
    return cli_failed("analyze", "no memory");
  }
  facts_put_part(facts, part);
  const struct fold_options options = {.agent_id = "analyze",
                                       .version = SIDETONE_VERSION,
                                       .inbound_is_agent = config->calls_party_inbound_is_agent};
  struct fold_summary summary;
  json_t *document = fold(facts, &options, &summary);
  json_t *sidetone = json_object_get(json_object_get(document, "metadata"), "sidetone");
  json_t *ai_speech = json_object_get(json_object_get(document, "aiAnalysis"), "speech");
  json_t *out =
      json_pack("{s:{s:O*}, s:O*, s:{s:{s:O*, s:O*}}}", "aiAnalysis", "speech", ai_speech, "quality",
                json_object_get(document, "quality"), "metadata", "sidetone", "speech",
                json_object_get(sidetone, "speech"), "quality", json_object_get(sidetone, "quality"));
  char *text = out != NULL ? document_text(out, true, NULL) : NULL;
  if (text != NULL) puts(text);
  json_decref(out);
  json_decref(document);
  facts_free(facts);
  int status = text != NULL ? EXIT_DONE : cli_failed("analyze", "no memory");
  free(text);
  return status;
}

static int print(struct analysis *a, const struct config *config) {
  if (a->output == OUTPUT_JSON) return print_json(a, config);
  if (a->output == OUTPUT_SEGMENTS) {
    struct speech_facts *facts = malloc(sizeof *facts);
    if (facts == NULL) return cli_failed("analyze", "no memory");
    print_segments_head(a);
    speech_finish(a->speech, a->duration_ms, facts); /* tells the observer what was still open */
    free(facts);
  }
  return EXIT_DONE;
}

/* ---- sound ----------------------------------------------------------------------------------- */

static void on_decision(void *arg, int64_t from_ms, int64_t to_ms, bool speech, float score) {
  struct listener *l = arg;
  if (l->analysis->output == OUTPUT_FRAMES) {
    for (int64_t ms = from_ms; ms < to_ms; ms += 10) {
      printf("%s,%lld,%d,%.4f\n", track_name(l->track), (long long)ms, speech, (double)score);
    }
  }
  if (l->analysis->quality != NULL)
    file_quality_speech(l->analysis->quality, l->track, from_ms, to_ms, speech);
  int64_t end_ms = to_ms < l->analysis->duration_ms ? to_ms : l->analysis->duration_ms;
  if (end_ms > from_ms) speech_feed(l->analysis->speech, l->track, from_ms, end_ms, speech);
}

struct file_track {
  struct listener listener;
  struct hearing *hearing;
  const int16_t *pcm;
  size_t samples, heard;
};

/* Up to a second more; false when there is no more. */
static bool hear_on(struct file_track *t) {
  size_t left = t->samples - t->heard, count = left < SOUND_RATE_HZ ? left : SOUND_RATE_HZ;
  if (count == 0) return false;
  hearing_pcm(t->hearing, (int64_t)t->heard, t->pcm + t->heard, count);
  t->heard += count;
  if (t->heard < t->samples) return true;
  static const int16_t silence[VAD_FRAME_SAMPLES];
  size_t rest = t->samples % VAD_FRAME_SAMPLES;
  if (rest > 0) /* every row has 10 ms */
    hearing_pcm(t->hearing, (int64_t)t->samples, silence, VAD_FRAME_SAMPLES - rest);
  hearing_flush(t->hearing);
  return true;
}

/* The rules wait for the slower track, so the tracks are heard side by side; rows of --frames come
 * track by track. */
static bool hear(struct analysis *a, struct file_track *tracks, int count) {
  bool good = true;
  for (int i = 0; i < count; i++) {
    tracks[i].listener = (struct listener){.analysis = a, .track = i};
    tracks[i].hearing = hearing_create(on_decision, &tracks[i].listener);
    good = good && tracks[i].hearing != NULL;
    a->seen[i] = true;
  }
  bool by_track = a->output == OUTPUT_FRAMES;
  for (int from = 0; good && from < count; from += by_track ? 1 : count) {
    bool more;
    do {
      more = false;
      if (a->quality != NULL) file_quality_second(a->quality);
      for (int i = from; i < (by_track ? from + 1 : count); i++) more |= hear_on(&tracks[i]);
    } while (more);
  }
  for (int i = 0; i < count; i++) hearing_free(tracks[i].hearing);
  if (a->quality != NULL) file_quality_end(a->quality, a->duration_ms);
  return good;
}

static int analyze_sound(struct analysis *a, char **files, int count) {
  struct sound sound[2] = {{0}, {0}};
  char why[512];
  int status = EXIT_DONE;
  for (int i = 0; i < count && status == EXIT_DONE; i++) {
    if (!sound_read(&sound[i], files[i], why, sizeof why)) {
      status = cli_failed("analyze", "%s", why);
    } else if (count == 2 && sound[i].channels != 1) {
      status = cli_failed("analyze", "%s: %zu channels; of two files each must be mono", files[i],
                          sound[i].channels);
    }
    if (sound[i].duration_ms > a->duration_ms) a->duration_ms = sound[i].duration_ms;
  }
  if (status == EXIT_DONE) {
    struct file_track tracks[2] = {{.pcm = sound[0].pcm[0], .samples = sound[0].samples},
                                   {.pcm = count == 2 ? sound[1].pcm[0] : sound[0].pcm[1],
                                    .samples = count == 2 ? sound[1].samples : sound[0].samples}};
    if (a->output == OUTPUT_FRAMES) puts("track,time_ms,speech,score");
    bool two = count == 2 || sound[0].channels == 2;
    if (a->output == OUTPUT_JSON) a->quality = file_quality_open(files, sound, count);
    if ((a->output == OUTPUT_JSON && a->quality == NULL) || !hear(a, tracks, two ? 2 : 1))
      status = cli_failed("analyze", "no memory");
  }
  sound_free(&sound[0]);
  sound_free(&sound[1]);
  return status;
}

/* ---- captures -------------------------------------------------------------------------------- */

static void warn(const char *file, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void warn(const char *file, const char *format, ...) {
  va_list args;
  va_start(args, format);
  fprintf(stderr, "sidetone analyze: warning: %s: ", file);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  va_end(args);
}

/* What is not in the figures because it could not be read. */
static void warn_of_gaps(const char *file, const struct capture *c) {
  if (c->broken[0] != '\0') warn(file, "analysed as far as it goes: %s", c->broken);
  if (c->fragments > 0) warn(file, "%llu IP fragments skipped", (unsigned long long)c->fragments);
  if (c->cut > 0) warn(file, "%llu packets without a whole header skipped", (unsigned long long)c->cut);
  if (c->full) warn(file, "more than %d streams: the rest is skipped", CAPTURE_STREAMS_MAX);
  if (c->streams == NULL) warn(file, "no RTP stream in it");
  for (const struct capture_stream *s = c->streams; s != NULL; s = s->hh.next) {
    for (int i = 0; i < RTP_PAYLOAD_TYPES; i++) {
      if (s->type[i] == NULL || s->type[i]->kind != CAPTURE_UNNAMED) continue;
      warn(file, "nothing names payload type %d of SSRC 0x%08x: --codec %d=NAME/CLOCK would", i, s->key.ssrc,
           i);
    }
  }
}

static int analyze_capture(const char *file, struct capture_names *names, const struct config *config) {
  const struct capture_options options = {
      .plc = config->quality_plc,
      .consumer = config->quality_consumer_asr_stream ? CONSUMER_ASR_STREAM : CONSUMER_PLAYOUT};
  struct capture c;
  char why[512];
  int status = EXIT_DONE;
  if (!capture_read(&c, names, file, why, sizeof why)) {
    status = cli_failed("analyze", "%s", why);
  } else {
    json_t *document = capture_document(&c, &options);
    char *text = document != NULL ? document_text(document, true, NULL) : NULL;
    if (text != NULL) puts(text);
    if (text == NULL) status = cli_failed("analyze", "no memory");
    warn_of_gaps(file, &c);
    free(text);
    json_decref(document);
  }
  capture_free(&c);
  return status;
}

/* ---- the command ----------------------------------------------------------------------------- */

/* EXIT_DONE, or EXIT_USAGE with the message said. */
static int name_codec(struct arguments *a, const char *text) {
  char why[128];
  if (a->names == NULL) a->names = capture_names_new();
  if (a->names == NULL) return cli_usage("analyze", "no memory");
  if (capture_names_option(a->names, text, why, sizeof why)) return EXIT_DONE;
  return cli_usage("analyze", "--codec %s: %s", text, why);
}

/* Whether the files are a capture, and the words before them fit what they are. */
static int judge_files(const struct arguments *a, char **files, int count, bool *capture) {
  bool packed = false;
  *capture = false;
  for (int i = 0; i < count; i++) {
    if (!capture_file_is(files[i], &packed)) {
      if (packed) return cli_failed("analyze", "%s is compressed: unpack it first", files[i]);
      continue;
    }
    if (count > 1) return cli_usage("analyze", "%s is a capture: it is allowed alone", files[i]);
    if (a->output != OUTPUT_JSON)
      return cli_usage("analyze", "%s is a capture: --frames and --segments go with audio", files[i]);
    *capture = true;
  }
  if (a->names != NULL && !*capture)
    return cli_failed("analyze", "%s: not a capture (pcap or pcapng), which --codec goes with", files[0]);
  return EXIT_DONE;
}

/* Whether the options go together, and with so many files. */
static int judge_words(const struct arguments *a, int files) {
  if (a->labels != NULL) {
    if (files > 0 || a->duration_ms < 0)
      return cli_usage("analyze",
                       "--labels FILE.csv goes with --duration-ms N, and with no audio or capture");
    if (a->output == OUTPUT_FRAMES || a->names != NULL)
      return cli_usage("analyze", "--frames goes with audio and --codec with a capture, not with --labels");
  } else if (a->duration_ms >= 0) {
    return cli_usage("analyze", "--duration-ms goes with --labels only: audio has its own length");
  } else if (files < 1 || files > 2) {
    return cli_usage("analyze",
                     "%d files: one stereo or mono file, two mono files, or one capture are allowed", files);
  }
  return EXIT_DONE;
}

static int parse(struct arguments *a, int argc, char **argv) {
  static const struct option options[] = {
      {"frames", no_argument, NULL, OPT_FRAMES},       {"segments", no_argument, NULL, OPT_SEGMENTS},
      {"labels", required_argument, NULL, OPT_LABELS}, {"duration-ms", required_argument, NULL, OPT_DURATION},
      {"codec", required_argument, NULL, OPT_CODEC},   {NULL, 0, NULL, 0}};
  int option;
  *a = (struct arguments){.duration_ms = -1};
  cli_begin(&a->cli, "analyze");
  opterr = 0;
  while ((option = getopt_long(argc, argv, ":c:o:", options, NULL)) != -1) {
    char *end;
    switch (option) {
      case OPT_FRAMES:
      case OPT_SEGMENTS:
        if (a->output != OUTPUT_JSON) return cli_usage("analyze", "--frames or --segments, once");
        a->output = option == OPT_FRAMES ? OUTPUT_FRAMES : OUTPUT_SEGMENTS;
        break;
      case OPT_LABELS:
        a->labels = optarg;
        break;
      case OPT_CODEC:
        if (name_codec(a, optarg) != EXIT_DONE) return EXIT_USAGE;
        break;
      case OPT_DURATION:
        errno = 0;
        a->duration_ms = strtoll(optarg, &end, 10);
        if (errno != 0 || *end != '\0' || a->duration_ms < 1 || a->duration_ms > 7 * 86400000LL) {
          return cli_usage("analyze", "--duration-ms %s: 1 to 604800000 is allowed", optarg);
        }
        break;
      default:
        if (!cli_option(&a->cli, option, optarg)) {
          return cli_wrong_option("analyze", option, argv,
                                  "-c, -o, --frames, --segments, --labels, --duration-ms and --codec");
        }
    }
  }
  return judge_words(a, argc - optind);
}

static int analyze(const struct arguments *args, const struct config *config, char **files, int count) {
  struct analysis a = {.output = args->output, .duration_ms = args->duration_ms > 0 ? args->duration_ms : 0};
  a.speech = malloc(speech_bytes());
  if (a.speech == NULL) return cli_failed("analyze", "no memory");
  speech_init(a.speech, &speech_defaults);
  if (a.output == OUTPUT_SEGMENTS) speech_set_observer(a.speech, print_segment, &a);
  int status;
  char why[512];
  if (args->labels == NULL) {
    status = analyze_sound(&a, files, count);
  } else if (labels_feed(args->labels, a.duration_ms, a.speech, why, sizeof why)) {
    a.seen[0] = a.seen[1] = true;
    status = EXIT_DONE;
  } else {
    status = cli_failed("analyze", "%s", why);
  }
  if (status == EXIT_DONE) status = print(&a, config);
  file_quality_free(a.quality);
  free(a.speech);
  return status;
}

int command_analyze(int argc, char **argv) {
  struct arguments a;
  struct config config;
  bool capture = false;
  int status = parse(&a, argc, argv);
  if (status == EXIT_DONE) status = judge_files(&a, argv + optind, argc - optind, &capture);
  if (status == EXIT_DONE) status = cli_config(&a.cli, &config);
  if (status == EXIT_DONE) {
    if (capture && a.names == NULL) a.names = capture_names_new();
    if (!capture) {
      status = analyze(&a, &config, argv + optind, argc - optind);
    } else if (a.names != NULL) {
      status = analyze_capture(argv[optind], a.names, &config);
    } else {
      status = cli_failed("analyze", "no memory");
    }
    config_free(&config);
  }
  capture_names_free(a.names);
  return status;
}
