#include "agent/net_progress.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { BAR_US = 200000, LINE_US = 10000000, BAR_CHARS = 30 };

static void clear(struct net_progress *p) {
  if (p->drawn) fputs("\r\033[K", stderr);
  p->drawn = false;
}

static void draw(struct net_progress *p) {
  char bar[BAR_CHARS + 1];
  double share = p->end_us > 0 ? (double)p->played_us / (double)p->end_us : 1;
  if (share > 1) share = 1;
  int full = (int)(share * BAR_CHARS);
  memset(bar, '.', BAR_CHARS);
  memset(bar, '#', (size_t)full);
  bar[BAR_CHARS] = '\0';
  fprintf(stderr, "\r[%s] %3d %%  %.1f / %.1f s  frames %" PRIu64 "  webhooks %" PRIu64 "\033[K", bar,
          (int)(share * 100), (double)p->played_us / 1e6, (double)p->end_us / 1e6, p->frames, p->answered);
  fflush(stderr);
  p->drawn = true;
}

void net_progress_show(struct net_progress *p, int64_t now_us) {
  if (now_us - p->shown_us < (p->bar ? BAR_US : LINE_US)) return;
  p->shown_us = now_us;
  if (p->bar) {
    draw(p);
  } else {
    net_progress_say(p, "%.1f of %.1f s, %" PRIu64 " frames sent, %" PRIu64 " webhooks answered",
                     (double)p->played_us / 1e6, (double)p->end_us / 1e6, p->frames, p->answered);
  }
}

void net_progress_say(struct net_progress *p, const char *format, ...) {
  va_list args;
  clear(p);
  fputs("sidetone replay: ", stderr);
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
}

void net_progress_end(struct net_progress *p) {
  if (p->bar) {
    draw(p);
    fputc('\n', stderr);
    p->drawn = false;
  }
  net_progress_say(p,
                   "%" PRIu64 " frames sent, %" PRIu64 " webhooks answered, %" PRIu64
                   " of them refused, %" PRIu64 " without an answer",
                   p->frames, p->answered, p->refused, p->unanswered);
}
