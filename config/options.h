/* The option table: what an option is called, may be, and means. Loader, listing, sample file and
 * secret masking walk these rows; to add an option, add its row and its member in struct config.
 *
 * A secret row has a second form, <key>_file, that names a file with the value; it needs no row. */
#ifndef CONFIG_OPTIONS_H
#define CONFIG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

enum option_type {
  OPTION_TEXT,    /* member char *; `accepts` may narrow it; "" is allowed where it is the default: not set */
  OPTION_INTEGER, /* member int64_t, min to max */
  OPTION_BYTES,   /* member int64_t, min to max: "512 MiB", or a plain number of bytes */
  OPTION_DURATION,    /* member int64_t, seconds, min to max: "90 s", "30 min", "24 h", "7 d" */
  OPTION_BOOL,        /* member bool, yes or no */
  OPTION_CHOICE,      /* member int: index into `choices` */
  OPTION_CHOICE_BOOL, /* member bool: which of the two `choices` */
};

struct option {
  const char *section, *key;
  enum option_type type;
  bool secret;         /* the value is in no message; <key>_file and $CREDENTIALS_DIRECTORY give it too */
  bool later;          /* this version cannot do it yet: no member, only the default is taken */
  const char *initial; /* the default, as one would write it */
  const char *unit;    /* or NULL */
  int64_t min, max;
  const char *const *choices; /* ends with NULL */
  bool (*accepts)(const char *value);
  const char *allowed; /* in words, for `accepts` */
  const char *alias;   /* a second environment variable, or NULL */
  const char *meaning;
  size_t offset; /* of the member in struct config */
};

#define OPTION_ROWS_MAX 64
extern const struct option option_rows[];
extern const size_t option_count;

/* The row of section.key, or NULL. `*from_file` says that the key was the <key>_file form. */
const struct option *option_find(const char *section, const char *key, bool *from_file);
bool option_section_exists(const char *section);

/* A value that was read: number of an integer, size, duration, bool or choice, else the text (borrowed). */
struct option_value {
  int64_t number;
  const char *text;
};

/* Reads `text` as the row wants it. False: not allowed, see option_allowed(). */
bool option_parse(const struct option *row, const char *text, struct option_value *out);
/* Copies the value into its member (a text member's old value is freed). 0 or -ENOMEM. */
int option_store(const struct option *row, const struct option_value *value, struct config *config);
bool option_is_initial(const struct option *row, const char *text);
/* What may be written, in words: "error, warn, info or debug", "1 to 86400". */
void option_allowed(const struct option *row, char *out, size_t out_bytes);

/* SIDETONE_<SECTION>_<KEY>, with _FILE behind it for the second form of a secret. */
void environment_name(const struct option *row, bool from_file, char *out, size_t out_bytes);

/* Forms that several rows share. */
bool is_agent_id(const char *value);
bool is_address(const char *value); /* HOST:PORT or [v6]:PORT, port 0 to 65535 */
bool is_public_key_list(const char *value);
bool is_token(const char *value);
/* Only the scheme is looked at, and that there are no blanks; who connects says the rest. */
bool is_mongo_uri(const char *value);
bool is_redis_url(const char *value);
bool is_http_url(const char *value);
bool is_media_url(const char *value);
/* Can only this machine reach it? A host as a name or an address, IPv6 without brackets; of a value that
 * is_address(). */
bool form_host_is_loopback(const char *host);
bool form_address_is_loopback(const char *value);

#endif
