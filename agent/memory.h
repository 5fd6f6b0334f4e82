/* Allocations of our own code that the system refused. The linker sends every malloc, calloc, realloc, strdup,
 * strndup, asprintf and vasprintf of our objects through memory.c (-Wl,--wrap, see Makefile); libraries have their
 * own. A piece of work that must be whole compares the count before and after, and is thrown away when it has grown:
 * a document with a hole in it is worse than none. */
#ifndef AGENT_MEMORY_H
#define AGENT_MEMORY_H

#include <stdint.h>

uint64_t memory_refusals(void);     /* to this thread, so far */
uint64_t memory_refusals_all(void); /* to any; thread: any */

/* uthash: an entry that could not be added has no table, which whoever adds it asks by is_added(). */
#define HASH_NONFATAL_OOM          1
#define uthash_nonfatal_oom(entry) ((void)0)
#define is_added(entry)            ((entry)->hh.tbl != NULL)

#endif
