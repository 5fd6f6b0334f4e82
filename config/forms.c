/* What addresses, keys, tokens and names must look like. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>
#include <stdlib.h>

#include "config/options.h"

static const char alphanumeric[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

enum { HOST_MAX = 253, AGENT_ID_MAX = 64 };

bool is_agent_id(const char *value) {
  size_t length = strlen(value);
  for (const char *c = value; *c != 0; c++)
    if (*c != '-' && strchr(alphanumeric, *c) == NULL) return false;
  return length >= 1 && length <= AGENT_ID_MAX;
}

bool is_token(const char *value) {
  for (const char *c = value; *c != 0; c++)
    if (*c <= ' ' || *c > '~') return false;
  return *value != 0;
}

/* Copies the host without brackets. False when the value is not HOST:PORT. */
static bool split_address(const char *value, char host[HOST_MAX + 1], bool *bracketed) {
  const char *colon = strrchr(value, ':');
  if (colon == NULL || colon == value) return false;
  size_t port_digits = strlen(colon + 1);
  if (port_digits < 1 || port_digits > 5 || strspn(colon + 1, "0123456789") != port_digits) return false;
  if (strtol(colon + 1, NULL, 10) > 65535) return false;
  *bracketed = *value == '[';
  if (*bracketed && colon[-1] != ']') return false;
  const char *start = value + *bracketed, *end = colon - *bracketed;
  if (end <= start || end - start > HOST_MAX) return false;
  memcpy(host, start, (size_t)(end - start));
  host[end - start] = 0;
  return true;
}

bool is_address(const char *value) {
  char host[HOST_MAX + 1];
  bool bracketed;
  struct in6_addr v6;
  struct in_addr v4;
  if (!split_address(value, host, &bracketed)) return false;
  if (bracketed) return inet_pton(AF_INET6, host, &v6) == 1;
  if (strspn(host, "0123456789.") == strlen(host)) return inet_pton(AF_INET, host, &v4) == 1;
  for (const char *c = host; *c != 0; c++)
    if (*c != '-' && *c != '.' && strchr(alphanumeric, *c) == NULL) return false;
  return *host != '-' && *host != '.';
}

bool form_host_is_loopback(const char *host) {
  struct in6_addr v6;
  struct in_addr v4;
  if (strcasecmp(host, "localhost") == 0) return true;
  if (inet_pton(AF_INET, host, &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  if (inet_pton(AF_INET6, host, &v6) != 1) return false;
  return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
}

bool form_address_is_loopback(const char *value) {
  char host[HOST_MAX + 1];
  bool bracketed;
  return split_address(value, host, &bracketed) && form_host_is_loopback(host);
}

/* 32 bytes are 43 characters and one `=`; the last of the 43 carries 4 bits, so its low two are 0. */
static bool is_public_key(const char *text, size_t length) {
  if (length != 44 || text[43] != '=') return false;
  for (size_t i = 0; i < 43; i++)
    if (text[i] != '+' && text[i] != '/' && strchr(alphanumeric, text[i]) == NULL) return false;
  return strchr("AEIMQUYcgkosw048", text[42]) != NULL;
}

bool is_public_key_list(const char *value) {
  size_t keys = 0;
  for (const char *at = value + strspn(value, " \t"); *at != 0; keys++) {
    size_t length = strcspn(at, " \t");
    if (!is_public_key(at, length)) return false;
    at += length;
    at += strspn(at, " \t");
  }
  return keys > 0;
}

static bool begins_with_one_of(const char *value, const char *const *schemes) {
  for (const char *c = value; *c != 0; c++)
    if ((unsigned char)*c <= ' ' || *c == 127) return false;
  for (; *schemes != NULL; schemes++) {
    size_t length = strlen(*schemes);
    if (strncmp(value, *schemes, length) == 0 && value[length] != 0) return true;
  }
  return false;
}

bool is_mongo_uri(const char *value) {
  static const char *const schemes[] = {"mongodb://", "mongodb+srv://", NULL};
  return begins_with_one_of(value, schemes);
}

bool is_redis_url(const char *value) {
  static const char *const schemes[] = {"redis://", "rediss://", "unix://", "redis+unix://", NULL};
  return begins_with_one_of(value, schemes);
}

bool is_http_url(const char *value) {
  static const char *const schemes[] = {"https://", "http://", NULL};
  return begins_with_one_of(value, schemes);
}

bool is_media_url(const char *value) {
  static const char *const schemes[] = {"wss://", "ws://", NULL};
  return begins_with_one_of(value, schemes);
}
