/* redis://[user[:password]@]host[:port][/db], rediss://, [redis+]unix://[user[:password]@]/path[?db=N]. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/redis_internal.h"

enum { DEFAULT_PORT = 6379, PORT_MAX = 65535, DB_MAX = 1000000 };

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* Percent-decoded. False: a broken escape, a NUL, or no room. */
static bool decode(const char *text, size_t length, char *out, size_t out_bytes) {
  size_t n = 0;
  for (size_t i = 0; i < length; i++) {
    char c = text[i];
    if (c == '%') {
      int high = i + 2 < length ? hex_digit(text[i + 1]) : -1;
      int low = i + 2 < length ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0) return false;
      c = (char)(high * 16 + low);
      i += 2;
    }
    if (c == '\0' || n + 1 >= out_bytes) return false;
    out[n++] = c;
  }
  out[n] = '\0';
  return true;
}

/* All of the text is a number from `min` to `max`. */
static bool number(const char *text, size_t length, long min, long max, int *out) {
  long value = 0;
  if (length == 0 || length > 7) return false;
  for (size_t i = 0; i < length; i++) {
    if (text[i] < '0' || text[i] > '9') return false;
    value = value * 10 + (text[i] - '0');
  }
  if (value < min || value > max) return false;
  *out = (int)value;
  return true;
}

static int refuse(char *why, size_t why_bytes, const char *text) {
  snprintf(why, why_bytes, "%s", text);
  return -1;
}

/* Takes `user:password@` off the front of [*at, end). */
static bool take_user(const char **at, const char *end, struct redis_address *out) {
  const char *sign = memrchr(*at, '@', (size_t)(end - *at));
  if (sign == NULL) return true;
  const char *colon = memchr(*at, ':', (size_t)(sign - *at));
  const char *user_end = colon != NULL ? colon : sign;
  if (!decode(*at, (size_t)(user_end - *at), out->user, sizeof out->user)) return false;
  if (colon != NULL && !decode(colon + 1, (size_t)(sign - colon - 1), out->password, sizeof out->password)) {
    return false;
  }
  *at = sign + 1;
  return true;
}

static bool take_host(const char *at, const char *end, struct redis_address *out) {
  const char *host = at, *host_end, *port = NULL;
  if (at < end && *at == '[') {
    host = at + 1;
    host_end = memchr(host, ']', (size_t)(end - host));
    if (host_end == NULL) return false;
    if (host_end + 1 < end) port = host_end + 1;
  } else {
    port = strchr(at, ':');
    if (port != NULL && port >= end) port = NULL;
    host_end = port != NULL ? port : end;
  }
  if (host_end == host || !decode(host, (size_t)(host_end - host), out->host, sizeof out->host)) return false;
  if (port == NULL) return true;
  return *port == ':' && number(port + 1, (size_t)(end - port - 1), 1, PORT_MAX, &out->port);
}

/* `?db=N`, the only parameter there is. */
static bool take_query(const char *query, struct redis_address *out) {
  static const char name[] = "db=";
  if (*query == '\0') return true;
  if (strncmp(query, name, sizeof name - 1) != 0) return false;
  const char *value = query + sizeof name - 1;
  return number(value, strlen(value), 0, DB_MAX, &out->db);
}

static int parse_tcp(const char *at, struct redis_address *out, char *why, size_t why_bytes) {
  const char *end = at + strlen(at), *query = strchr(at, '?');
  const char *rest_end = query != NULL ? query : end;
  /* A password may hold a slash that was not escaped: the last '@' ends it. */
  if (!take_user(&at, rest_end, out))
    return refuse(why, why_bytes, "user or password: a bad %-escape, or too long");
  const char *slash = memchr(at, '/', (size_t)(rest_end - at));
  if (!take_host(at, slash != NULL ? slash : rest_end, out))
    return refuse(why, why_bytes,
                  "no usable host and port; wanted is HOST or HOST:PORT, PORT from 1 to 65535");
  if (slash != NULL && slash + 1 < rest_end &&
      !number(slash + 1, (size_t)(rest_end - slash - 1), 0, DB_MAX, &out->db)) {
    return refuse(why, why_bytes, "the database after the last / is no number from 0 to 1000000");
  }
  if (query != NULL && !take_query(query + 1, out))
    return refuse(why, why_bytes, "after ? only db=N is known");
  return 0;
}

static int parse_unix(const char *at, struct redis_address *out, char *why, size_t why_bytes) {
  const char *end = at + strlen(at), *query = strchr(at, '?');
  const char *path_end = query != NULL ? query : end;
  if (*at != '/' && !take_user(&at, path_end, out))
    return refuse(why, why_bytes, "user or password: a bad %-escape, or too long");
  if (at == path_end || *at != '/') return refuse(why, why_bytes, "the path of a Unix socket begins with /");
  if (!decode(at, (size_t)(path_end - at), out->path, sizeof out->path))
    return refuse(why, why_bytes, "the path of the Unix socket is over 107 bytes, or has a bad %-escape");
  if (query != NULL && !take_query(query + 1, out))
    return refuse(why, why_bytes, "after ? only db=N is known");
  return 0;
}

int redis_url_parse(const char *url, struct redis_address *out, char *why, size_t why_bytes) {
  static const struct {
    const char *name;
    bool tls, unix_socket;
  } schemes[] = {{"redis://", false, false},
                 {"rediss://", true, false},
                 {"unix://", false, true},
                 {"redis+unix://", false, true}};
  *out = (struct redis_address){.port = DEFAULT_PORT};
  for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
    size_t length = strlen(schemes[i].name);
    if (strncmp(url, schemes[i].name, length) != 0) continue;
    out->tls = schemes[i].tls;
    return (schemes[i].unix_socket ? parse_unix : parse_tcp)(url + length, out, why, why_bytes);
  }
  return refuse(why, why_bytes, "it begins with redis://, rediss://, unix:// or redis+unix://");
}

int redis_check_url(const char *url, char *why, size_t why_bytes) {
  struct redis_address address;
  if (redis_url_parse(url, &address, why, why_bytes) != 0) return -1;
#ifndef SIDETONE_REDIS_TLS
  if (address.tls) {
    return refuse(
        why, why_bytes,
        "rediss:// needs TLS, which this build's hiredis has not (1.0 on has it): use redis:// to a "
        "tunnel on this machine, such as stunnel");
  }
#endif
  return 0;
}
