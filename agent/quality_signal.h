/* What was measured of a track's sound in the form of a document: the members of `signal.<track>` of
 * voice-quality.md 8. Pure; any thread. */
#ifndef AGENT_QUALITY_SIGNAL_H
#define AGENT_QUALITY_SIGNAL_H

#include <jansson.h>

#include "dsp/echo.h"
#include "dsp/signal_facts.h"

/* `facts` NULL: there is no decoder for its sound. `echo` of the track that may hold one, else NULL: then there is no such member. New reference. */
json_t *quality_signal_object(const struct signal_facts *facts, const struct echo_facts *echo);

#endif
