/* What was measured of a track's delivery in the form of a document: the members of `delivery.<track>` of
 * voice-quality.md 8. The one place where a figure gets its published name and its decimals; the
 * CallLog and `analyze` of a capture share it. Pure; any thread. */
#ifndef AGENT_QUALITY_FIGURES_H
#define AGENT_QUALITY_FIGURES_H

#include <jansson.h>

#include "dsp/codec.h"
#include "dsp/delivery_facts.h"

enum { QUALITY_INTEGER = -2 }; /* in place of decimals */

/* Everything is borrowed. */
struct quality_track {
  const struct codec *codec;
  const char *leg_codec; /* of the call itself, "unknown" when nobody said it (1.7) */
  struct delivery_view view;
  uint8_t chunk_scope, ts_unit; /* enums of dsp/timebase.h, 0: not found out */
  const struct delivery_facts *facts;
  const struct delivery_figures *figures; /* of these facts in this view, by delivery_figures() */
};

/* A figure that is not computable is left out, and its name with the reason is a member of `absent` of
 * the object it belongs to. New reference. */
json_t *quality_track_object(const struct quality_track *track);
/* Those of its figures that stand in no group and are named here: into `object`, or their reasons into
 * `absent`. */
void quality_put_named(json_t *object, json_t *absent, const struct delivery_figures *figures,
                       const char *const *names, size_t count);
/* One figure into `object`, or its reason into `absent`. */
void quality_put_figure(json_t *object, json_t *absent, const char *name, const struct figure *figure,
                        int decimals);

#endif
