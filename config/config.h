/* Every option: one row in options.c names it, its type, bounds, default, unit and meaning, and the
 * member it fills; listing, sample file, checks and secret masking walk the same rows.
 * A member is called section_key. Strings are owned by the config; "" means not set. */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config {
  char *agent_id;
  int64_t agent_drain_s;
  char *listen_public, *listen_admin, *listen_tls_certificate, *listen_tls_private_key;
  char *telnyx_public_key, *telnyx_stream_token, *telnyx_api_key, *telnyx_api_base, *telnyx_stream_url;
  bool telnyx_auto_stream;
  bool telnyx_insecure;
  int64_t telnyx_signature_tolerance_s;
  bool calls_party_inbound_is_agent; /* calls.party = inbound=agent */
  bool quality_plc, quality_consumer_asr_stream;
  char *store_dir;
  int64_t store_max_bytes, store_keep_delivered_s;
  char *mongo_uri, *mongo_database, *mongo_collection;
  bool mongo_lead_lookup;
  int64_t mongo_interim_s, mongo_server_selection_ms, mongo_socket_ms;
  char *redis_url, *redis_prefix;
  int64_t redis_live_interval_ms, redis_timeout_ms, redis_queue_max, redis_group_timeout_h;
  char *admin_token;
  int log_level, log_format; /* enums of agent/log.h: 0 error 1 warn 2 info 3 debug; 0 auto 1 logfmt 2 json */
  bool log_numbers;
};

struct config_source {          /* -c and -o of the command line */
  const char *file;             /* NULL: none */
  const char *const *overrides; /* "section.key=value" */
  size_t override_count;
};

/* Default, file, environment, -o: the later wins. A secret that none of them gives is looked for in
 * $CREDENTIALS_DIRECTORY, in a file called section.key. An empty environment variable is not set.
 * Fails for what is not allowed, for options that exclude or need each other, and for options of the
 * table that this version cannot do yet (of those, the environment's are only warned of: it is shared
 * with other programs). 0, or -1 with the message for standard error (file, line, key, value
 * unless secret, what is allowed) in `why`. `warnings` (may be NULL) gets lines to log. */
int config_load(struct config *out, const struct config_source *source, char *why, size_t why_bytes,
                void (*warning)(void *arg, const char *text), void *arg);
/* The file layer alone, from memory: defaults, then `text`; `name` stands for the file in messages.
 * Options are checked one by one, not against each other. */
int config_load_text(struct config *out, const char *name, const char *text, size_t bytes, char *why,
                     size_t why_bytes);
void config_free(struct config *config);
/* The section.key of each option that `a` and `b` do not agree about. */
void config_each_change(const struct config *a, const struct config *b,
                        void (*changed)(void *arg, const char *name), void *arg);
/* `sidetone options`: section.key, type, default, unit, meaning, tab-separated, a line each. */
void config_print_options(void *file /* FILE* */);
/* The commented sample: equals config/sidetone.conf (a test compares). */
void config_print_sample(void *file);

#endif
