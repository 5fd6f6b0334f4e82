/* The published figures of a track's sound, from its facts: dsp/signal_facts.h. */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "dsp/signal_facts.h"

enum {
  DC_MIN_US = 1000000,
  BAND_MIN_US = 3000000, /* of speech, before its bandwidth is told */
  GAPS_MIN_US = 5000000, /* of active sound, before gaps a minute are */
  MINUTE_US = 60000000,
  BAND_STEP_US = 80000, /* a spectrum stands for so much speech */
  HUM_BLOCKS_MIN = 3
};

static const double sample_scale = 32768, power_scale = 0x1p30;
static const double dc_limit = 0.01;                                                          /* 5.5 */
static const double digital_silence_dbov = -80;                                               /* 5.3 */
static const double comfort_low_dbov = -75, comfort_high_dbov = -45, comfort_spread_db = 1.5; /* 5.6 */
static const double narrow_ratio = 3.1622776601683795e-5;                                     /* 5.9: 45 dB */

static const char no_sound[] = "no_sound", silent[] = "silent", too_short[] = "too_short",
                  too_little_silence[] = "too_little_silence", too_little_sound[] = "too_little_sound";

static struct p56_counters all_sound(const struct signal_facts *f) {
  struct p56_counters c = {.samples = f->samples, .power = f->power};
  memcpy(c.active, f->active, sizeof c.active);
  return c;
}

static struct p56_counters other_sound(const struct signal_facts *f) {
  struct p56_counters c = {.samples = f->other_samples, .power = f->other_power};
  memcpy(c.active, f->other_active, sizeof c.active);
  return c;
}

/* Of what is not music or a tone. */
static void level_figures(const struct signal_facts *f, struct signal_figures *out) {
  struct p56_counters speech = all_sound(f), other = other_sound(f);
  p56_subtract(&speech, &other);
  if (f->samples == 0 || speech.samples == 0) {
    const char *why = f->samples == 0 ? no_sound : "non_speech";
    out->active_level_dbov = out->rms_dbov = out->activity_share = figure_absent(why);
    return;
  }
  struct p56_result r = p56_measure(&speech);
  out->active_level_dbov = r.active ? figure_number(r.level_dbov) : figure_absent(silent);
  out->rms_dbov = figure_number(r.rms_dbov);
  out->activity_share = figure_number(r.activity < 1 ? r.activity : 1);
}

static void flag(struct signal_figures *out, const char *name) {
  out->flags[out->flag_count++] = name;
}

static void noise_figures(const struct signal_facts *f, struct signal_figures *out) {
  struct noise_result noise = noise_measure(f->noise);
  bool speech = out->active_level_dbov.absent == NULL;
  if (!noise.enough) {
    bool undecided = f->samples > 0 && f->undecided_us >= f->measured_us;
    out->noise_dbov = figure_absent(f->samples == 0 ? no_sound
                                    : undecided     ? "no_voice_detector"
                                                    : too_little_silence);
  } else if (noise.silent) {
    out->noise_dbov = figure_absent("digital_silence");
  } else {
    out->noise_dbov = figure_number(noise.level_dbov);
  }
  out->snr_db = out->noise_dbov;
  if (!speech) {
    out->snr_db = out->active_level_dbov;
  } else if (out->noise_dbov.absent == NULL) {
    out->snr_db = figure_number(out->active_level_dbov.value - noise.level_dbov);
  }
  if (!noise.enough) return;
  if (speech && (noise.silent || noise.level_dbov < digital_silence_dbov)) flag(out, "digital_silence");
  if (!noise.silent && noise.level_dbov > comfort_low_dbov && noise.level_dbov < comfort_high_dbov &&
      noise.spread_db < comfort_spread_db)
    flag(out, "comfort_noise");
}

static void hum_figures(const struct signal_facts *f, struct signal_figures *out) {
  bool is_50 = f->hum_50_blocks >= f->hum_60_blocks;
  uint64_t blocks = is_50 ? f->hum_50_blocks : f->hum_60_blocks;
  if (blocks == 0) {
    const char *why = f->samples == 0                  ? no_sound
                      : f->hum_blocks < HUM_BLOCKS_MIN ? too_little_silence
                                                       : "no_hum";
    out->hum_hz = out->hum_dbov = figure_absent(why);
    return;
  }
  double power = (is_50 ? f->hum_50_power : f->hum_60_power) / (double)blocks;
  out->hum_hz = figure_number(is_50 ? 50 : 60);
  out->hum_dbov = figure_number(10 * log10(power / power_scale));
}

/* Shares of all active sound, music too. */
static void damage_figures(const struct signal_facts *f, struct signal_figures *out) {
  struct p56_counters all = all_sound(f);
  struct p56_result r = p56_measure(&all);
  double active_us = r.activity * (double)f->measured_us;
  const char *why = f->samples == 0 ? no_sound : NULL;
  struct figure none = figure_absent(why);
  out->clip_share = why != NULL ? none
                    : !r.active ? figure_absent(silent)
                                : figure_number((double)f->clip_samples / (r.activity * (double)f->samples));
  out->clip_events = why != NULL ? none : figure_number((double)f->clip_events);
  out->inserted_silence_frames = why != NULL ? none : figure_number((double)f->inserted_silence_frames);
  out->repeated_frames = why != NULL ? none : figure_number((double)f->repeated_frames);
  out->mute_gaps_per_min = why != NULL ? none
                           : active_us < GAPS_MIN_US
                               ? figure_absent(too_little_sound)
                               : figure_number((double)f->mute_gaps * MINUTE_US / active_us);
  out->dc = why != NULL ? none
            : f->measured_us < DC_MIN_US
                ? figure_absent(too_short)
                : figure_number((double)f->dc_sum / (double)f->samples / sample_scale);
}

static void bandwidth(const struct signal_facts *f, struct signal_figures *out) {
  if (f->samples == 0) {
    out->bandwidth_absent = no_sound;
  } else if (f->narrow_us * 2 >= f->measured_us) {
    out->bandwidth = "nb"; /* 8 kHz hold no more */
  } else if (f->band_spectra * BAND_STEP_US < BAND_MIN_US) {
    out->bandwidth_absent = "too_little_speech";
  } else {
    out->bandwidth = f->band_high < f->band_low * narrow_ratio ? "nb" : "wb";
  }
}

void signal_figures(const struct signal_facts *facts, struct signal_figures *out) {
  memset(out, 0, sizeof *out);
  level_figures(facts, out);
  noise_figures(facts, out);
  hum_figures(facts, out);
  damage_figures(facts, out);
  bandwidth(facts, out);
  if (out->dc.absent == NULL && fabs(out->dc.value) > dc_limit) flag(out, "dc_offset");
  if (facts->other_us > 0) flag(out, "non_speech_likely");
  if (facts->repeating_frames > 0) flag(out, "repeating_sound");
}
