/* A whole capture file: how many streams are kept of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pcap/pcap.h>

#include "agent/capture.h"
#include "tests/scratch_file.h"

enum { PACKETS = 5, BYTES = 20 + 8 + 12 + 1 };

static void put_16(uint8_t *at, uint32_t value) {
  at[0] = (uint8_t)(value >> 8);
  at[1] = (uint8_t)value;
}

/* Five packets of PCMU by each of so many sources, one source after the other. */
static void write_streams(const char *path, uint32_t streams) {
  pcap_t *pcap = pcap_open_dead(DLT_RAW, 65535);
  pcap_dumper_t *file = pcap_dump_open(pcap, path);
  assert_non_null(file);
  for (uint32_t i = 0; i < streams * PACKETS; i++) {
    uint8_t p[BYTES] = {
        0x45, 0, 0, BYTES, [8] = 64, [9] = 17, [12] = 192, [14] = 2, [15] = 1, [16] = 192, [28] = 0x80};
    put_16(p + 20, 5004);
    put_16(p + 22, 5006);
    put_16(p + 24, BYTES - 20);
    put_16(p + 30, i % PACKETS);
    put_16(p + 34, i % PACKETS * 160);
    put_16(p + 36, i / PACKETS >> 16);
    put_16(p + 38, i / PACKETS);
    const struct pcap_pkthdr header = {
        .ts = {.tv_sec = 1000 + i / 50, .tv_usec = i % 50 * 20000}, .caplen = BYTES, .len = BYTES};
    pcap_dump((u_char *)file, &header, p);
  }
  pcap_dump_close(file);
  pcap_close(pcap);
}

static void expect(const char *path, uint32_t streams, bool full) {
  char why[256];
  struct capture c;
  struct capture_names *names = capture_names_new();
  write_streams(path, streams);
  assert_true(capture_read(&c, names, path, why, sizeof why));
  assert_int_equal(HASH_COUNT(c.streams), full ? CAPTURE_STREAMS_MAX : streams);
  assert_int_equal(c.full, full);
  capture_free(&c);
  capture_names_free(names);
}

static void streams_have_an_end(void **state) {
  (void)state;
  const char *path = scratch_path("many.pcap");
  expect(path, 3, false);
  expect(path, CAPTURE_STREAMS_MAX, false);
  expect(path, CAPTURE_STREAMS_MAX + 1, true);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(streams_have_an_end)};
  return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}
