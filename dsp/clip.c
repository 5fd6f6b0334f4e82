#include "dsp/clip.h"

enum { RUN_MIN = 3 };

void clip_init(struct clip *c, int16_t ceiling) {
  *c = (struct clip){.limit = ((uint32_t)ceiling * 99 + 99) / 100};
}

void clip_feed(struct clip *c, const int16_t *pcm, size_t samples, uint32_t peak) {
  if (peak < c->limit) {
    c->run = 0;
    return;
  }
  for (size_t i = 0; i < samples; i++) {
    int32_t x = pcm[i];
    if ((uint32_t)(x < 0 ? -x : x) < c->limit) {
      c->run = 0;
      continue;
    }
    c->run++;
    if (c->run == RUN_MIN) {
      c->events++;
      c->samples += RUN_MIN;
    } else if (c->run > RUN_MIN) {
      c->samples++;
    }
  }
}
