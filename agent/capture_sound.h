/* What one stream of a capture sounds like, where its codec can be decoded: the measures of a media stream's
 * track (dsp/signal.h), with a voice detector of its own. One thread.
 *
 * Use: capture_sound_new(), capture_sound_begin() at each format, capture_sound_push() for each packet,
 * capture_sound_end() once, then capture_sound_facts(). */
#ifndef AGENT_CAPTURE_SOUND_H
#define AGENT_CAPTURE_SOUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dsp/codec.h"
#include "dsp/delivery.h"
#include "dsp/signal_facts.h"

struct capture_sound;

/* Whether there is a decoder, at a rate the voice detector hears. */
bool capture_sound_can(const struct codec *codec);
/* NULL: no memory. `delivery`, which is borrowed, is told of silence that was put into the sound. */
struct capture_sound *capture_sound_new(struct delivery *delivery);
void capture_sound_free(struct capture_sound *s);
/* Before delivery_begin(), as what waits is heard first. */
void capture_sound_begin(struct capture_sound *s, const struct codec *codec, uint32_t ptime_us);
/* place_us as delivery_frame() gave it. */
void capture_sound_push(struct capture_sound *s, int64_t place_us, int64_t arrival_us, const uint8_t *payload,
                        size_t bytes);
/* What waits is heard now: where delivery_leaps() says so. */
void capture_sound_flush(struct capture_sound *s);
void capture_sound_end(struct capture_sound *s);
/* After the end. False: nothing was heard. */
bool capture_sound_facts(const struct capture_sound *s, struct signal_facts *out);

#endif
