/* A receiver's book of 16-bit sequence numbers as RFC 3550 A.1 and A.3 keep it, without probation.
 * Only for what RTCP reports: duplicates count as received, so its loss can hide real loss or be
 * negative; ours is dsp/ledger.h. */
#ifndef DSP_RTCP_LEDGER_H
#define DSP_RTCP_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

enum { RTCP_MAX_DROPOUT = 3000, RTCP_MAX_MISORDER = 100 };

struct rtcp_ledger {
  bool started, restart_pending;
  uint16_t highest, base, restart_number; /* restart_number: the one that would confirm a restart */
  uint32_t cycles;                        /* multiples of 2^16 */
  uint32_t received;
};

/* A zeroed struct is an empty book. False: the number was not accepted. */
bool rtcp_ledger_add(struct rtcp_ledger *l, uint16_t number);
uint32_t rtcp_ledger_expected(const struct rtcp_ledger *l);
int64_t rtcp_ledger_lost(const struct rtcp_ledger *l);

/* A 16-bit number as the 64-bit one nearest to the highest seen. */
uint64_t sequence_extend(uint64_t highest, uint16_t number);

#endif
