/* Quality of the sound of audio files, for `analyze`: the diagnosis of a stream, fed from files that are heard at the same
 * time (agent/cmd_analyze.c).
 *
 * Use: file_quality_open(); then second by second file_quality_second() and the detector, whose decisions go to
 * file_quality_speech(); file_quality_end(); file_quality_part(). One thread. */
#ifndef AGENT_FILE_QUALITY_H
#define AGENT_FILE_QUALITY_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/part.h"
#include "agent/sound.h"

struct file_quality;

/* One file of one or two channels, or two of one, with their sound at 8 kHz, which is borrowed. NULL: no memory, or they
 * can be read no more. */
struct file_quality *file_quality_open(char *const *files, const struct sound *sound, int count);
void file_quality_free(struct file_quality *q);
/* The next second of all tracks. */
void file_quality_second(struct file_quality *q);
void file_quality_speech(struct file_quality *q, int track, int64_t from_ms, int64_t to_ms, bool speech);
void file_quality_end(struct file_quality *q, int64_t duration_ms);
/* What was found, into a part whose tracks have been seen. False: no memory. */
bool file_quality_part(const struct file_quality *q, struct part *part);

#endif
