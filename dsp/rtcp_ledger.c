#include "dsp/rtcp_ledger.h"

static void begin(struct rtcp_ledger *l, uint16_t number) {
  *l = (struct rtcp_ledger){.started = true, .highest = number, .base = number};
}

bool rtcp_ledger_add(struct rtcp_ledger *l, uint16_t number) {
  if (!l->started) begin(l, number);
  uint16_t step = (uint16_t)(number - l->highest);
  if (step < RTCP_MAX_DROPOUT) {
    if (number < l->highest) l->cycles += 1U << 16;
    l->highest = number;
  } else if (step <= UINT16_MAX + 1 - RTCP_MAX_MISORDER) {
    if (!l->restart_pending || number != l->restart_number) {
      l->restart_pending = true;
      l->restart_number = (uint16_t)(number + 1);
      return false;
    }
    begin(l, number);
  }
  l->received++;
  return true;
}

uint32_t rtcp_ledger_expected(const struct rtcp_ledger *l) {
  return l->started ? l->cycles + l->highest - l->base + 1 : 0;
}

int64_t rtcp_ledger_lost(const struct rtcp_ledger *l) {
  return (int64_t)rtcp_ledger_expected(l) - l->received;
}

uint64_t sequence_extend(uint64_t highest, uint16_t number) {
  return highest + (uint64_t)(int16_t)(uint16_t)(number - (uint16_t)highest);
}
