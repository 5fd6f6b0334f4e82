#include "agent/http1.h"

#include <http_parser.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* http_parser knows 34 methods and calls any other one an error, but which methods exist is the handler's
 * question (405). So the method is read here, and the parser always sees this one, which may have a body. */
static const char METHOD_FOR_PARSER[] = "POST ";

enum { METHOD_MAX_BYTES = 32, TEXT_FIRST_BYTES = 1024, BODY_FIRST_BYTES = 4096, BODY_KEEP_BYTES = 64 * 1024 };

enum phase { IN_METHOD, IN_HEAD, AT_BODY, IN_BODY, FINISHED, FAILED };

static const size_t NO_VALUE = SIZE_MAX;

struct span { /* of `text`, NUL-terminated there */
  size_t name, value;
};

struct http1 {
  http_parser parser;
  struct http1_limits limits;
  enum phase phase;
  int status;
  char method[METHOD_MAX_BYTES + 1];
  size_t method_bytes, head_bytes;
  /* Target, names and values one after the other; spans, because it moves when it grows. */
  char *text;
  size_t text_bytes, text_capacity;
  struct span *spans;
  size_t span_count, span_capacity;
  bool in_value;
  struct http_header *headers;
  size_t header_capacity;
  char *body;
  size_t body_bytes, body_capacity;
  struct http_request request;
  bool chunked, expects_continue;
};

const char *http_header(const struct http_request *request, const char *name, size_t *count) {
  const char *first = NULL;
  size_t found = 0;

  for (size_t i = 0; i < request->header_count; i++) {
    if (strcasecmp(request->headers[i].name, name) != 0) continue;
    if (found++ == 0) first = request->headers[i].value;
  }
  if (count) *count = found;
  return first;
}

static bool list_has(const char *list, const char *token) {
  size_t bytes = strlen(token);

  while (*list) {
    list += strspn(list, ", \t");
    size_t element = strcspn(list, ",");
    size_t trimmed = element;
    while (trimmed > 0 && (list[trimmed - 1] == ' ' || list[trimmed - 1] == '\t')) trimmed--;
    if (trimmed == bytes && strncasecmp(list, token, bytes) == 0) return true;
    list += element;
  }
  return false;
}

bool http_header_has(const struct http_request *request, const char *name, const char *token) {
  for (size_t i = 0; i < request->header_count; i++)
    if (strcasecmp(request->headers[i].name, name) == 0 && list_has(request->headers[i].value, token))
      return true;
  return false;
}

/* ---- gathering what the parser reports ---- */

static int stop(struct http1 *http, int status) {
  http->status = status;
  return 1; /* any non-zero value ends http_parser_execute() */
}

static bool text_add(struct http1 *http, const char *at, size_t bytes) {
  size_t need = http->text_bytes + bytes + 1;
  if (need > http->text_capacity) {
    size_t capacity = http->text_capacity ? http->text_capacity : TEXT_FIRST_BYTES;
    while (capacity < need) capacity *= 2;
    char *grown = realloc(http->text, capacity);
    if (!grown) return false;
    http->text = grown;
    http->text_capacity = capacity;
  }
  memcpy(http->text + http->text_bytes, at, bytes);
  http->text_bytes += bytes;
  http->text[http->text_bytes] = '\0';
  return true;
}

static int on_url(http_parser *parser, const char *at, size_t bytes) {
  struct http1 *http = parser->data;
  return text_add(http, at, bytes) ? 0 : stop(http, 503);
}

static bool span_begin(struct http1 *http) {
  if (http->span_count == http->span_capacity) {
    size_t capacity = http->span_capacity ? 2 * http->span_capacity : 16;
    struct span *grown = realloc(http->spans, capacity * sizeof *grown);
    if (!grown) return false;
    http->spans = grown;
    http->span_capacity = capacity;
  }
  size_t at = ++http->text_bytes; /* past the NUL of what stands before */
  http->spans[http->span_count++] = (struct span){.name = at, .value = NO_VALUE};
  return true;
}

static int on_header_field(http_parser *parser, const char *at, size_t bytes) {
  struct http1 *http = parser->data;

  if (http->phase != IN_HEAD) return 0; /* a trailer after the chunks: nobody asked for it */
  if (http->span_count == 0 || http->in_value) {
    if (!span_begin(http)) return stop(http, 503);
    http->in_value = false;
  }
  return text_add(http, at, bytes) ? 0 : stop(http, 503);
}

/* Debian's http_parser is built lenient: it lets some control characters through. */
static bool has_control(const char *at, size_t bytes) {
  for (size_t i = 0; i < bytes; i++)
    if (((unsigned char)at[i] < ' ' && at[i] != '\t') || at[i] == 0x7f) return true;
  return false;
}

static int on_header_value(http_parser *parser, const char *at, size_t bytes) {
  struct http1 *http = parser->data;

  if (http->phase != IN_HEAD) return 0;
  if (has_control(at, bytes)) return stop(http, 400);
  if (!http->in_value) {
    http->spans[http->span_count - 1].value = ++http->text_bytes;
    http->in_value = true;
  }
  return text_add(http, at, bytes) ? 0 : stop(http, 503);
}

static bool body_reserve(struct http1 *http, size_t bytes) {
  size_t need = http->body_bytes + bytes + 1; /* a NUL behind it, for whoever prints it */
  if (need <= http->body_capacity) return true;
  size_t capacity = http->body_capacity ? http->body_capacity : BODY_FIRST_BYTES;
  while (capacity < need) capacity *= 2;
  char *grown = realloc(http->body, capacity);
  if (!grown) return false;
  http->body = grown;
  http->body_capacity = capacity;
  return true;
}

static int on_body(http_parser *parser, const char *at, size_t bytes) {
  struct http1 *http = parser->data;

  if (bytes > http->limits.body_max_bytes - http->body_bytes) return stop(http, 413);
  if (!body_reserve(http, bytes)) return stop(http, 503);
  memcpy(http->body + http->body_bytes, at, bytes);
  http->body_bytes += bytes;
  http->body[http->body_bytes] = '\0';
  return 0;
}

static int on_chunk_header(http_parser *parser) {
  struct http1 *http = parser->data;
  return parser->content_length > http->limits.body_max_bytes - http->body_bytes ? stop(http, 413) : 0;
}

/* Both pauses hand control back to http1_feed() at the exact byte. */
static int on_headers_complete(http_parser *parser) {
  struct http1 *http = parser->data;
  http->phase = AT_BODY;
  http_parser_pause(parser, 1);
  return 0;
}

static int on_message_complete(http_parser *parser) {
  struct http1 *http = parser->data;
  http->phase = FINISHED;
  http_parser_pause(parser, 1);
  return 0;
}

static const http_parser_settings SETTINGS = {
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
    .on_chunk_header = on_chunk_header,
};

/* ---- what the parser leaves to us ---- */

static bool is_token_char(unsigned char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
         (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_token(const char *text) {
  if (*text == '\0') return false;
  for (; *text; text++)
    if (!is_token_char((unsigned char)*text)) return false;
  return true;
}

/* Cuts the target in place into path and query. Absolute form: the part after the authority. */
static bool split_target(struct http1 *http) {
  char *path = http->text;
  char *scheme_end = strstr(path, "://");

  for (const char *c = path; *c; c++)
    if ((unsigned char)*c <= ' ' || *c == 0x7f || *c == '#') return false;
  if (*path != '/' && scheme_end && strcspn(path, "/?") > (size_t)(scheme_end - path)) {
    path = scheme_end + 3;
    path += strcspn(path, "/?");
  }
  char *query = strchr(path, '?');
  if (query) *query++ = '\0';
  http->request.query = query ? query : "";
  http->request.path = *path ? path : "/";
  return true;
}

static bool lengths_agree(const struct http1 *http) {
  size_t lengths, encodings;
  const char *length = http_header(&http->request, "Content-Length", &lengths);
  const char *encoding = http_header(&http->request, "Transfer-Encoding", &encodings);

  if (lengths > 1 || (lengths && encodings) || encodings > 1) return false;
  if (length && (*length == '\0' || length[strspn(length, "0123456789")] != '\0')) return false;
  /* Other codings would have to be undone, and HTTP/1.0 has none. */
  return !encoding || (strcasecmp(encoding, "chunked") == 0 && http->parser.http_minor >= 1);
}

/* 0, or the status of the first rule broken. */
static int check_head(struct http1 *http) {
  struct http_request *request = &http->request;
  size_t hosts;

  if (http->parser.http_major > 1) return 505;
  if (http->parser.http_major < 1 || !split_target(http)) return 400;
  for (size_t i = 0; i < request->header_count; i++)
    if (!is_token(request->headers[i].name)) return 400;
  http_header(request, "Host", &hosts);
  if (hosts > 1 || (hosts == 0 && http->parser.http_minor >= 1)) return 400;
  return lengths_agree(http) ? 0 : 400;
}

static void trim_end(char *text) {
  size_t bytes = strlen(text);
  while (bytes > 0 && (text[bytes - 1] == ' ' || text[bytes - 1] == '\t')) text[--bytes] = '\0';
}

static enum http1_state fail(struct http1 *http, int status) {
  http->phase = FAILED;
  http->status = status;
  return HTTP1_BAD;
}

static enum http1_state finish_head(struct http1 *http) {
  struct http_request *request = &http->request;

  if (http->span_count > http->header_capacity) {
    struct http_header *grown = realloc(http->headers, http->span_count * sizeof *grown);
    if (!grown) return fail(http, 503);
    http->headers = grown;
    http->header_capacity = http->span_count;
  }
  for (size_t i = 0; i < http->span_count; i++) {
    const struct span *span = &http->spans[i];
    http->headers[i].name = http->text + span->name;
    http->headers[i].value = span->value == NO_VALUE ? "" : http->text + span->value;
    if (span->value != NO_VALUE) trim_end(http->text + span->value);
  }
  request->method = http->method;
  request->headers = http->headers;
  request->header_count = http->span_count;
  int status = check_head(http);
  if (status) return fail(http, status);
  http->chunked = http_header(request, "Transfer-Encoding", NULL) != NULL;
  http->expects_continue = http_header_has(request, "Expect", "100-continue") && http->parser.http_minor >= 1;
  return HTTP1_HEAD;
}

/* ---- the public face ---- */

struct http1 *http1_create(const struct http1_limits *limits) {
  struct http1 *http = calloc(1, sizeof *http);
  if (!http) return NULL;
  http->limits = *limits;
  http1_next(http);
  return http;
}

void http1_free(struct http1 *http) {
  if (!http) return;
  free(http->text);
  free(http->spans);
  free(http->headers);
  free(http->body);
  free(http);
}

void http1_next(struct http1 *http) {
  http_parser_init(&http->parser, HTTP_REQUEST);
  http->parser.data = http;
  http->phase = IN_METHOD;
  http->status = 0;
  http->method_bytes = http->head_bytes = http->text_bytes = http->span_count = http->body_bytes = 0;
  http->in_value = http->chunked = http->expects_continue = false;
  memset(&http->request, 0, sizeof http->request);
  if (http->body_capacity > BODY_KEEP_BYTES) {
    free(http->body);
    http->body = NULL;
    http->body_capacity = 0;
  }
}

/* The method and its blank, which the parser never sees. */
static enum http1_state feed_method(struct http1 *http, const char *data, size_t bytes, size_t *used) {
  while (*used < bytes) {
    char c = data[(*used)++];
    if (++http->head_bytes > http->limits.head_max_bytes) return fail(http, 431);
    if (http->method_bytes == 0 && (c == '\r' || c == '\n')) continue; /* RFC 9112 2.2 */
    if (c == ' ' && http->method_bytes > 0) {
      http->method[http->method_bytes] = '\0';
      http_parser_execute(&http->parser, &SETTINGS, METHOD_FOR_PARSER, sizeof METHOD_FOR_PARSER - 1);
      http->phase = IN_HEAD;
      return HTTP1_MORE;
    }
    if (!is_token_char((unsigned char)c) || http->method_bytes == METHOD_MAX_BYTES) return fail(http, 400);
    http->method[http->method_bytes++] = c;
  }
  return HTTP1_MORE;
}

/* What stopped the parser: a callback's status, its own complaint, or one of our pauses. */
static enum http1_state after_execute(struct http1 *http) {
  enum http_errno error = HTTP_PARSER_ERRNO(&http->parser);

  if (http->status) return fail(http, http->status);
  if (error == HPE_HEADER_OVERFLOW) return fail(http, 431);
  if (error != HPE_OK && error != HPE_PAUSED) return fail(http, 400);
  return HTTP1_MORE;
}

static enum http1_state feed_head(struct http1 *http, const char *data, size_t bytes, size_t *used) {
  /* No byte over the limit reaches the parser, and never none at all, which it takes for the end. */
  size_t allowed = http->limits.head_max_bytes - http->head_bytes;
  if (allowed == 0) return fail(http, 431);
  size_t offered = bytes - *used < allowed ? bytes - *used : allowed;
  size_t taken = http_parser_execute(&http->parser, &SETTINGS, data + *used, offered);

  http->head_bytes += taken;
  *used += taken;
  if (after_execute(http) == HTTP1_BAD) return HTTP1_BAD;
  if (http->phase == AT_BODY) return finish_head(http);
  return *used < bytes ? fail(http, 431) : HTTP1_MORE;
}

static enum http1_state feed_body(struct http1 *http, const char *data, size_t bytes, size_t *used) {
  if (http->phase == AT_BODY) {
    http->phase = IN_BODY;
    if (!http->chunked && http->parser.content_length != ULLONG_MAX &&
        http->parser.content_length > http->limits.body_max_bytes)
      return fail(http, 413);
    http_parser_pause(&http->parser, 0);
  }
  *used += http_parser_execute(&http->parser, &SETTINGS, data + *used, bytes - *used);
  if (after_execute(http) == HTTP1_BAD) return HTTP1_BAD;
  if (http->phase != FINISHED) return HTTP1_MORE;
  http->request.body = http->body_bytes ? http->body : "";
  http->request.body_bytes = http->body_bytes;
  return HTTP1_DONE;
}

enum http1_state http1_feed(struct http1 *http, const char *data, size_t bytes, size_t *used) {
  *used = 0;
  if (http->phase == FAILED) return HTTP1_BAD;
  if (http->phase == FINISHED) return HTTP1_DONE;
  if (bytes == 0) return HTTP1_MORE;
  if (http->phase == IN_METHOD) {
    if (feed_method(http, data, bytes, used) == HTTP1_BAD) return HTTP1_BAD;
    if (*used == bytes) return HTTP1_MORE;
  }
  if (http->phase == IN_HEAD) return feed_head(http, data, bytes, used);
  return feed_body(http, data, bytes, used);
}

struct http_request *http1_request(struct http1 *http) {
  return &http->request;
}

int http1_status(const struct http1 *http) {
  return http->status;
}

bool http1_begun(const struct http1 *http) {
  return http->phase != IN_METHOD || http->method_bytes > 0;
}

bool http1_is_version_11(const struct http1 *http) {
  return http->parser.http_minor >= 1;
}

bool http1_keep_alive(const struct http1 *http) {
  if (http_header_has(&http->request, "Connection", "close")) return false;
  return http1_is_version_11(http) || http_header_has(&http->request, "Connection", "keep-alive");
}

bool http1_expects_continue(const struct http1 *http) {
  return http->expects_continue;
}

bool http1_has_body(const struct http1 *http) {
  const char *length = http_header(&http->request, "Content-Length", NULL);
  return http->chunked || (length && length[strspn(length, "0")] != '\0');
}

const char *http1_reason(int status) {
  switch (status) {
#define NAME(number, symbol, words) \
  case number:                      \
    return #words;
    HTTP_STATUS_MAP(NAME)
#undef NAME
    default:
      return "Unknown";
  }
}

size_t http1_response_head(char *out, size_t out_bytes, const struct http1_response *response) {
  const char *type = response->content_type;
  const char *connection = response->close        ? "Connection: close\r\n"
                           : response->version_10 ? "Connection: keep-alive\r\n"
                                                  : "";
  return (size_t)snprintf(out, out_bytes, "HTTP/1.1 %d %s\r\n%s%s%sContent-Length: %zu\r\n%s%s\r\n",
                          response->status, http1_reason(response->status), type ? "Content-Type: " : "",
                          type ? type : "", type ? "\r\n" : "", response->body_bytes,
                          response->extra ? response->extra : "", connection);
}
