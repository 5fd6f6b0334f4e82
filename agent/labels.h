/* Labelled segments as `--segments` prints them: CSV rows track,start_ms,end_ms,kind. */
#ifndef AGENT_LABELS_H
#define AGENT_LABELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dsp/speech.h"

/* Feeds the rows of kind `speech` to the rules; others are silence to them. False with `why` (file,
 * line, what is allowed). Rows may come in any order; rows of a track may overlap or touch. */
bool labels_feed(const char *file, int64_t duration_ms, struct speech *speech, char *why, size_t why_bytes);

#endif
