# sidetone: two commands do everything: `make demo` and `make check`.
#
#   make            build/sidetone
#   make demo       install what is missing, build, play a call, print its CallLog
#   make check      install what the tests need, build, run every test
#   make test       unit tests and fixtures;   make e2e   the real binary over loopback
#   make asan       the same tests under AddressSanitizer and UBSan
#   make fuzz       each fuzz target for FUZZ_SECONDS (default 60)
#   make oom        every allocation of our own code fails once
#   make bench      measurements of docs/performance.md
#   make lint, make format, make install (PREFIX, DESTDIR), make clean

VERSION := 0.1.0
PREFIX ?= /usr
DESTDIR ?=
SIDETONE_SHARED ?= ../shared
export SIDETONE_SHARED

# One variant a build: release (default), debug, asan.
VARIANT ?= release
ifeq ($(VARIANT),release)
OUT := build
OPT := -O2 -g
else ifeq ($(VARIANT),debug)
OUT := build/debug
OPT := -O0 -g3
else ifeq ($(VARIANT),asan)
OUT := build/asan
OPT := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
else
$(error VARIANT is release, debug or asan)
endif

# Debian's own python3: another one may come first on the path and lacks Debian's modules.
PYTHON := /usr/bin/python3

RUN_PACKAGES := build-essential pkg-config libwebsockets-dev libwebsockets-evlib-uv libuv1-dev libhttp-parser-dev \
  libcurl4-openssl-dev libjansson-dev libsndfile1-dev libsamplerate0-dev libsqlite3-dev libinih-dev libssl-dev \
  libmongoc-dev libbson-dev libhiredis-dev openssl uthash-dev python3
CHECK_PACKAGES := libcmocka-dev clang libclang-rt-14-dev clang-format curl python3-pytest python3-websockets \
  python3-requests python3-nacl faketime

LIBS := libuv libwebsockets libcurl jansson sndfile samplerate sqlite3 inih libmongoc-1.0 hiredis libssl libcrypto
# Looked up when something is compiled, so that `make deps` can come first on a bare machine.
PKG_CFLAGS = $(shell pkg-config --cflags $(LIBS) 2>/dev/null)
PKG_LIBS = $(shell pkg-config --libs $(LIBS) 2>/dev/null) -lhttp_parser -lpthread -lm

# Floating point is never contracted: the same fixture gives the same bytes on every machine.
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla \
  -Wformat=2 -Wundef -Wcast-qual -Wwrite-strings -Werror
CPPFLAGS += -I. -D_GNU_SOURCE -DSIDETONE_VERSION='"$(VERSION)"'
CFLAGS += -std=c11 $(OPT) -ffp-contract=off -fno-math-errno -fstack-protector-strong $(WARNINGS)
ALL_CFLAGS = $(CPPFLAGS) $(CFLAGS) $(PKG_CFLAGS)
# Allocations of our objects go through agent/memory.c, which counts those that are refused.
COUNTED := malloc calloc realloc strdup strndup asprintf vasprintf
WRAP := $(COUNTED:%=-Wl,--wrap=%)
LDFLAGS += $(filter -fsanitize=%,$(OPT)) -Wl,-z,relro,-z,now $(WRAP)

SOURCES := $(wildcard agent/*.c config/*.c dsp/*.c telnyx/*.c store/*.c)
OBJECTS := $(SOURCES:%.c=$(OUT)/obj/%.o)
LIBRARY := $(OUT)/libsidetone.a
MAIN := $(OUT)/obj/agent/main.o
TESTS := $(patsubst tests/%.c,$(OUT)/tests/%,$(wildcard tests/test_*.c))
FUZZERS := $(patsubst tests/fuzz/%.c,build/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SECONDS ?= 60
JOBS := $(shell nproc)

.PHONY: all debug deps check-deps demo check test unit fixtures-test e2e asan fuzz fuzz-brief oom oom-brief bench lint format install clean
all: $(OUT)/sidetone

$(OUT)/sidetone: $(MAIN) $(LIBRARY)
	@echo "  LD $@"
	@$(CC) $(LDFLAGS) -o $@ $(MAIN) $(LIBRARY) $(PKG_LIBS)

$(LIBRARY): $(filter-out $(MAIN),$(OBJECTS))
	@rm -f $@
	@$(AR) rcs $@ $^

$(OUT)/obj/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC $<"
	@$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(OUT)/tests/%: tests/%.c $(LIBRARY)
	@mkdir -p $(@D)
	@echo "  CC $<"
	@$(CC) $(ALL_CFLAGS) -MMD -MP -MF $(OUT)/tests/$*.d -o $@ $< $(LIBRARY) $(LDFLAGS) $(PKG_LIBS) -lcmocka

-include $(OBJECTS:.o=.d) $(TESTS:=.d)

debug:
	$(MAKE) VARIANT=debug

# Installs what is missing, and only then asks for more rights.
deps:
	@tests/install-packages $(RUN_PACKAGES)
check-deps:
	@tests/install-packages $(RUN_PACKAGES) $(CHECK_PACKAGES)

demo: deps
	@$(MAKE) --no-print-directory -s -j$(JOBS) all
	@tests/demo

unit: $(TESTS)
	@tests/run-units $(TESTS)

fixtures-test: $(OUT)/sidetone
	@tests/run-fixtures $(OUT)/sidetone

test: unit fixtures-test

e2e: $(OUT)/sidetone
	SIDETONE=$(OUT)/sidetone $(PYTHON) -m pytest -q tests/e2e

asan:
	@$(MAKE) --no-print-directory VARIANT=asan -j$(JOBS) all $(TESTS:build/%=build/asan/%)
	@ASAN_OPTIONS=detect_leaks=1 $(MAKE) --no-print-directory VARIANT=asan test
	@ASAN_OPTIONS=detect_leaks=1 $(MAKE) --no-print-directory VARIANT=asan e2e

# libFuzzer needs clang; the whole library is compiled again with its coverage.
FUZZ_CFLAGS = $(CPPFLAGS) -std=c11 -g -O1 -ffp-contract=off $(WARNINGS) -fsanitize=fuzzer-no-link,address,undefined \
  -fno-sanitize-recover=all $(PKG_CFLAGS)
FUZZ_OBJECTS := $(patsubst %.c,build/fuzz/obj/%.o,$(filter-out agent/main.c,$(SOURCES)))
build/fuzz/obj/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CLANG $<"
	@clang $(FUZZ_CFLAGS) -MMD -MP -c -o $@ $<
build/fuzz/libsidetone.a: $(FUZZ_OBJECTS)
	@rm -f $@
	@$(AR) rcs $@ $^
build/fuzz/fuzz_%: tests/fuzz/fuzz_%.c build/fuzz/libsidetone.a
	@echo "  CLANG $<"
	@clang $(FUZZ_CFLAGS) -fsanitize=fuzzer,address,undefined -o $@ $< build/fuzz/libsidetone.a $(WRAP) $(PKG_LIBS)
-include $(FUZZ_OBJECTS:.o=.d)
fuzz: $(FUZZERS)
	@tests/run-fuzzers $(FUZZ_SECONDS) $(FUZZERS)
fuzz-brief: $(FUZZERS)
	@tests/run-fuzzers 0 $(FUZZERS)

# Every allocation of our own code fails once; the brief one takes every 16th.
build/oom/fail_alloc.so: tests/oom/fail_alloc.c
	@mkdir -p $(@D)
	@$(CC) $(CPPFLAGS) -std=c11 -O1 -g $(WARNINGS) -fno-builtin -fPIC -shared -o $@ $<
oom: build/sidetone build/oom/fail_alloc.so
	@$(PYTHON) tests/oom/run.py
oom-brief: build/sidetone build/oom/fail_alloc.so
	@$(PYTHON) tests/oom/run.py --stride 16

build/bench/bench: tests/bench/bench.c $(LIBRARY)
	@mkdir -p $(@D)
	@$(CC) $(ALL_CFLAGS) -o $@ $< $(LIBRARY) $(LDFLAGS) $(PKG_LIBS)
bench: build/sidetone build/bench/bench
	@build/bench/bench build/sidetone fixtures/demo build/bench

# Both cores build; the tests themselves run one after the other.
check: check-deps
	@$(MAKE) --no-print-directory -j$(JOBS) all $(TESTS)
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory test
	@$(MAKE) --no-print-directory e2e
	@$(MAKE) --no-print-directory oom-brief
	@$(MAKE) --no-print-directory asan
	@$(MAKE) --no-print-directory -j$(JOBS) $(FUZZERS)
	@$(MAKE) --no-print-directory fuzz-brief

lint:
	@tests/lint

format:
	clang-format -i $(wildcard */*.c */*.h tests/fuzz/*.c)

# A configuration that is there is the user's.
install: all
	install -D -m 0755 build/sidetone $(DESTDIR)$(PREFIX)/bin/sidetone
	test -e $(DESTDIR)/etc/sidetone/sidetone.conf || install -D -m 0644 config/sidetone.conf $(DESTDIR)/etc/sidetone/sidetone.conf
	install -D -m 0644 systemd/sidetone.service $(DESTDIR)$(PREFIX)/lib/systemd/system/sidetone.service

clean:
	rm -rf build
