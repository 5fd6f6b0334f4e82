/* HTTP/1.0 and 1.1 requests in, response heads out. No socket, no clock.
 *
 * The grammar is Debian's http_parser; this unit gathers what it reports, sets the limits and adds the
 * checks it leaves out (RFC 9112: one Host, token names, lengths that agree).
 *
 *   struct http1 *http = http1_create(&limits);
 *   http1_feed(http, data, bytes, &used) -> HTTP1_HEAD     headers are in: http1_request()
 *   http1_feed(http, data + used, ...)   -> HTTP1_DONE     body too
 *   http1_next(http)                                       ready for the next request */
#ifndef AGENT_HTTP1_H
#define AGENT_HTTP1_H

#include <stdbool.h>
#include <stddef.h>

struct http_header {
  const char *name, *value; /* name as sent */
};

struct http_request {
  const char *method, *path; /* path without the query */
  const char *query;         /* "" when none */
  const struct http_header *headers;
  size_t header_count;
  const char *body;
  size_t body_bytes;
  bool loopback; /* the peer's address */
};
/* The first header of that name (any case); *count (may be NULL) says how many there are. */
const char *http_header(const struct http_request *request, const char *name, size_t *count);
/* Is `token` an element of the comma-separated lists of all headers of that name (any case)? */
bool http_header_has(const struct http_request *request, const char *name, const char *token);

struct http1_limits {
  size_t head_max_bytes; /* request line and headers, line ends included */
  size_t body_max_bytes;
};

enum http1_state {
  HTTP1_MORE, /* everything was taken */
  HTTP1_HEAD, /* returned once a request, before any of the body is taken */
  HTTP1_DONE,
  HTTP1_BAD /* answer http1_status() and close; nothing more may be fed */
};

struct http1;
/* NULL: no memory. The limits are copied. */
struct http1 *http1_create(const struct http1_limits *limits);
void http1_free(struct http1 *http);
/* Makes ready for the next request on the connection. What http1_request() gave is gone. */
void http1_next(struct http1 *http);
/* Takes `*used` of the bytes, up to the next state. After HTTP1_HEAD at least one is always left. */
enum http1_state http1_feed(struct http1 *http, const char *data, size_t bytes, size_t *used);

/* From HTTP1_HEAD until http1_next(); body from HTTP1_DONE. `loopback` is left to the caller. */
struct http_request *http1_request(struct http1 *http);
/* After HTTP1_BAD: 400, 413, 431, 503 (no memory) or 505. */
int http1_status(const struct http1 *http);
/* Has a request begun? Empty lines before a request line do not count. */
bool http1_begun(const struct http1 *http);
/* From HTTP1_HEAD on: may the connection serve another request? */
bool http1_keep_alive(const struct http1 *http);
bool http1_is_version_11(const struct http1 *http);
/* From HTTP1_HEAD on: the client waits for 100 Continue before it sends its body. */
bool http1_expects_continue(const struct http1 *http);
/* From HTTP1_HEAD on: a body follows (a length above 0, or chunks). */
bool http1_has_body(const struct http1 *http);

struct http1_response {
  int status;
  const char *content_type; /* NULL: no such header */
  const char *extra;        /* whole header lines, each with its CRLF; NULL: none */
  size_t body_bytes;
  bool close, version_10;
};
/* The head with its empty line, as snprintf: returns the length it needs. */
size_t http1_response_head(char *out, size_t out_bytes, const struct http1_response *response);
/* "Not Found" for 404; "Unknown" for what has no name. */
const char *http1_reason(int status);

#endif
