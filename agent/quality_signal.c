#include "agent/quality_signal.h"

#include "agent/document.h"
#include "agent/quality_figures.h"

static const char no_decoder[] = "no_decoder";

struct member {
  const char *name;
  size_t figure; /* offset in struct signal_figures */
  int decimals;
};

#define OWN(name_, decimals_) \
  { #name_, offsetof(struct signal_figures, name_), decimals_ }

static const struct member members[] = {
    OWN(active_level_dbov, DECIMALS_DB),
    OWN(rms_dbov, DECIMALS_DB),
    OWN(activity_share, DECIMALS_R),
    OWN(noise_dbov, DECIMALS_DB),
    OWN(snr_db, DECIMALS_DB),
    OWN(clip_share, DECIMALS_R),
    OWN(clip_events, QUALITY_INTEGER),
    OWN(dc, DECIMALS_R),
    OWN(hum_hz, QUALITY_INTEGER),
    OWN(hum_dbov, DECIMALS_DB),
    OWN(inserted_silence_frames, QUALITY_INTEGER),
    OWN(repeated_frames, QUALITY_INTEGER),
    OWN(mute_gaps_per_min, DECIMALS_R),
};

static json_t *nothing_heard(bool with_echo) {
  json_t *object = json_object(), *absent = json_object();
  for (size_t i = 0; i < sizeof members / sizeof *members; i++)
    document_put_text(absent, members[i].name, no_decoder);
  document_put_text(absent, "echo", with_echo ? no_decoder : NULL);
  document_put_text(absent, "bandwidth", no_decoder);
  json_object_set_new(object, "flags", json_array());
  json_object_set_new(object, "absent", absent);
  return object;
}

static void put_echo(json_t *object, json_t *absent, const struct echo_facts *facts) {
  double delay_ms, erl_db;
  if (!echo_figures(facts, &delay_ms, &erl_db)) {
    document_put_text(absent, "echo", facts->verdicts ? "no_echo" : "too_little_outbound");
    return;
  }
  json_t *echo = json_object();
  document_put_real(echo, "delay_ms", delay_ms, DECIMALS_MS);
  document_put_real(echo, "erl_db", erl_db, DECIMALS_DB);
  json_object_set_new(object, "echo", echo);
}

json_t *quality_signal_object(const struct signal_facts *facts, const struct echo_facts *echo) {
  if (!facts) return nothing_heard(echo);
  json_t *object = json_object(), *absent = json_object(), *flags = json_array();
  struct signal_figures figures;
  signal_figures(facts, &figures);
  for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
    const struct figure *figure = (const struct figure *)((const char *)&figures + members[i].figure);
    quality_put_figure(object, absent, members[i].name, figure, members[i].decimals);
  }
  if (echo) put_echo(object, absent, echo);
  document_put_text(object, "bandwidth", figures.bandwidth);
  document_put_text(absent, "bandwidth", figures.bandwidth ? NULL : figures.bandwidth_absent);
  for (size_t i = 0; i < figures.flag_count; i++) json_array_append_new(flags, json_string(figures.flags[i]));
  json_object_set_new(object, "flags", flags);
  document_put_some(object, "absent", absent);
  return object;
}
