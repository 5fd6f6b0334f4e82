#include "dsp/signal_facts.h"

#include <math.h>

#define SUM(member_)      FIELD(signal_facts, member_, FIELD_U64, MERGE_SUM)
#define SUM_REAL(member_) FIELD(signal_facts, member_, FIELD_F64, MERGE_SUM)

const struct field signal_fields[] = {
    SUM(measured_us),
    SUM(missing_us),
    SUM(speech_us),
    SUM(undecided_us),
    SUM(samples),
    FIELD_ARRAY(signal_facts, active, FIELD_U64, MERGE_SUM, P56_THRESHOLDS),
    SUM_REAL(power),
    SUM(other_us),
    SUM(other_samples),
    FIELD_ARRAY(signal_facts, other_active, FIELD_U64, MERGE_SUM, P56_THRESHOLDS),
    SUM_REAL(other_power),
    FIELD_ARRAY(signal_facts, noise, FIELD_U64, MERGE_SUM, NOISE_BUCKETS),
    SUM(clip_samples),
    SUM(clip_events),
    FIELD(signal_facts, dc_sum, FIELD_I64, MERGE_SUM),
    SUM(hum_blocks),
    SUM(hum_50_blocks),
    SUM(hum_60_blocks),
    SUM_REAL(hum_50_power),
    SUM_REAL(hum_60_power),
    SUM(inserted_silence_frames),
    SUM(repeated_frames),
    SUM(repeating_frames),
    SUM(mute_gaps),
    SUM(band_spectra),
    SUM(narrow_us),
    SUM_REAL(band_low),
    SUM_REAL(band_high),
};
const size_t signal_field_count = sizeof signal_fields / sizeof signal_fields[0];

void signal_merge(struct signal_facts *into, const struct signal_facts *from) {
  fields_merge(signal_fields, signal_field_count, into, from);
}
