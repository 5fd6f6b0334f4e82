# sidetone: two commands do everything: `make demo` and `make check`.
#
#   make            build/sidetone
#   make demo       install what is missing, build, play a call, print its CallLog
#   make check      install what the tests need, build, run every test
#   make test       unit tests and fixtures;   make e2e   the real binary over loopback
#   make asan       the same tests under AddressSanitizer and UBSan
#   make fuzz       each fuzz target for FUZZ_SECONDS (default 60)
#   make oom        every allocation of our own code fails once
#   make services   MongoDB, Redis and toxiproxy on free ports, until interrupted (tests/services/run -- COMMAND)
#   make chaos      ROUNDS (1000) of kill -9 under load and a judge; SEED repeats the plans of a run
#   make bench      measurements of docs/performance.md
#   make lint, make format, make clean
#   make install    PREFIX, DESTDIR;   make deb   build/sidetone_<version>_<arch>.deb;   make package   its tests

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
  libmongoc-dev libbson-dev libhiredis-dev libsystemd-dev libpcap-dev openssl uthash-dev python3
CHECK_PACKAGES := libcmocka-dev clang libclang-rt-14-dev clang-format curl python3-pytest python3-websockets \
  python3-requests python3-nacl python3-pymongo python3-redis redis-server redis-tools openjdk-17-jdk-headless maven \
  golang-go ca-certificates python3-seccomp systemd lintian faketime sip-tester tcpdump tshark
DEB_PACKAGES := debhelper dpkg-dev

# Looked up when something is compiled, so that `make deps` can come first on a bare machine.
# hiredis has TLS from 1.0 on, in a library of its own; without it rediss:// is refused in words.
REDIS_TLS = $(shell pkg-config --exists 'hiredis_ssl >= 1.0' 2>/dev/null && echo hiredis_ssl)
LIBS = libuv libwebsockets libcurl jansson sndfile samplerate sqlite3 inih libmongoc-1.0 hiredis $(REDIS_TLS) libssl libcrypto \
  libsystemd libpcap
PKG_CFLAGS = $(shell pkg-config --cflags $(LIBS) 2>/dev/null) $(if $(REDIS_TLS),-DSIDETONE_REDIS_TLS)
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
TOOLS := $(patsubst tests/tools/%.c,$(OUT)/tools/%,$(wildcard tests/tools/*.c))
FUZZERS := $(patsubst tests/fuzz/%.c,build/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SECONDS ?= 60
JOBS := $(shell nproc)

.PHONY: all debug deps deb-deps check-deps demo check test unit fixtures-test e2e asan fuzz fuzz-brief oom oom-brief bench services \
  chaos judges-test lint sample format install install-files deb package clean
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

# What drives a part of the program from outside, for tests/e2e.
$(OUT)/tools/%: tests/tools/%.c $(LIBRARY)
	@mkdir -p $(@D)
	@echo "  CC $<"
	@$(CC) $(ALL_CFLAGS) -MMD -MP -MF $(OUT)/tools/$*.d -o $@ $< $(LIBRARY) $(LDFLAGS) $(PKG_LIBS)

# The files that may use more of the processor than the rest; they are asked for at run time.
ifneq ($(filter x86_64-%,$(shell $(CC) -dumpmachine)),)
$(OUT)/obj/dsp/kernels_avx2.o $(OUT)/obj/dsp/correlate_avx2.o: CFLAGS += -mavx2
build/fuzz/obj/dsp/kernels_avx2.o build/fuzz/obj/dsp/correlate_avx2.o: CPPFLAGS += -mavx2
endif

-include $(OBJECTS:.o=.d) $(TESTS:=.d) $(TOOLS:=.d)

debug:
	$(MAKE) VARIANT=debug

# Installs what is missing, and only then asks for more rights.
deps:
	@tests/install-packages $(RUN_PACKAGES)
deb-deps:
	@tests/install-packages $(RUN_PACKAGES) $(DEB_PACKAGES)
check-deps:
	@tests/install-packages $(RUN_PACKAGES) $(DEB_PACKAGES) $(CHECK_PACKAGES)

demo: deps
	@[ -z "$$MONGODB_URI$$REDIS_URL" ] || tests/install-packages python3-pymongo python3-redis
	@$(MAKE) --no-print-directory -s -j$(JOBS) all
	@tests/demo

unit: $(TESTS)
	@tests/run-units $(TESTS)

fixtures-test: $(OUT)/sidetone
	@tests/run-fixtures $(OUT)/sidetone

test: unit fixtures-test

# The tests' MongoDB and toxiproxy, fetched once (Maven, Go) and checked against pinned checksums.
SERVICES := build/services/.ready
$(SERVICES): tests/services/build tests/services/pom.xml tests/services/checksums.sha256 \
  $(shell find tests/services/mongo -name '*.java')
	@tests/services/build
services: check-deps
	@tests/services/run

ROUNDS ?= 1000
SEED ?=
chaos: $(OUT)/sidetone $(SERVICES)
	@SIDETONE=$(OUT)/sidetone tests/chaos/run --rounds $(ROUNDS) $(if $(SEED),--seed $(SEED))
# The model of the fold and the judge of the chaos run: who judges is tested too.
judges-test: $(OUT)/sidetone
	SIDETONE=$(abspath $(OUT)/sidetone) $(PYTHON) -m pytest -q tests/model tests/chaos

e2e: $(OUT)/sidetone $(TOOLS) $(SERVICES)
	SIDETONE=$(OUT)/sidetone $(PYTHON) -m pytest -q tests/e2e

asan:
	@$(MAKE) --no-print-directory VARIANT=asan -j$(JOBS) all $(TESTS:build/%=build/asan/%) $(TOOLS:build/%=build/asan/%)
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

# A large store, to measure a start with: docs/reliability.md.
build/fill_store: tests/bench/fill_store.c $(LIBRARY)
	@mkdir -p $(@D)
	@$(CC) $(ALL_CFLAGS) -o $@ $< $(LIBRARY) $(LDFLAGS) $(PKG_LIBS)

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
build/bench/quality: tests/bench/quality.c $(LIBRARY)
	@mkdir -p $(@D)
	@$(CC) $(ALL_CFLAGS) -o $@ $< $(LIBRARY) $(LDFLAGS) $(PKG_LIBS)
build/bench/pair: tests/bench/pair.c $(LIBRARY)
	@mkdir -p $(@D)
	@$(CC) $(ALL_CFLAGS) -o $@ $< $(LIBRARY) $(LDFLAGS) $(PKG_LIBS)
build/bench/load_webhooks: tests/bench/load_webhooks.c $(LIBRARY)
	@mkdir -p $(@D)
	@$(CC) $(CPPFLAGS) $(CFLAGS) -o $@ $< $(LIBRARY) $(LDFLAGS)
build/bench/load_media: tests/bench/load_media.c $(LIBRARY)
	@mkdir -p $(@D)
	@$(CC) $(CPPFLAGS) $(CFLAGS) -o $@ $< $(LIBRARY) $(LDFLAGS) $(PKG_LIBS)
build/bench/bare_drain: tests/bench/bare_drain.c $(LIBRARY)
	@mkdir -p $(@D)
	@$(CC) $(ALL_CFLAGS) -o $@ $< $(LIBRARY) $(LDFLAGS) $(PKG_LIBS)
bench: build/sidetone build/bench/bench build/bench/quality build/bench/pair build/bench/load_webhooks \
  build/bench/load_media build/bench/bare_drain $(SERVICES)
	@build/bench/bench build/sidetone fixtures/demo build/bench
	@build/bench/quality
	@build/bench/pair
	@SIDETONE=build/sidetone tests/bench/sinks.py build/bench/sinks

# Both cores build; the tests themselves run one after the other.
check: check-deps
	@$(MAKE) --no-print-directory -j$(JOBS) all $(TESTS) $(TOOLS) $(SERVICES)
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory test
	@$(MAKE) --no-print-directory judges-test
	@$(MAKE) --no-print-directory e2e
	@$(MAKE) --no-print-directory oom-brief
	@$(MAKE) --no-print-directory chaos ROUNDS=25
	@$(MAKE) --no-print-directory package
	@$(MAKE) --no-print-directory asan
	@$(MAKE) --no-print-directory -j$(JOBS) $(FUZZERS)
	@$(MAKE) --no-print-directory fuzz-brief

lint:
	@tests/lint

# The sample configuration, after a row of config/options.c has changed.
sample: $(OUT)/tools/print_sample
	$(OUT)/tools/print_sample > config/sidetone.conf

format:
	clang-format -i $(wildcard */*.c */*.h tests/fuzz/*.c tests/tools/*.c)

# Paths of systemd's: Debian's own units are in /lib, everybody else's under the prefix.
UNIT_DIR ?= $(PREFIX)/lib/systemd/system

# What needs no service manager. A configuration that is there is the user's.
install-files: all
	install -D -m 0755 build/sidetone $(DESTDIR)$(PREFIX)/bin/sidetone
	install -D -m 0644 docs/sidetone.1 $(DESTDIR)$(PREFIX)/share/man/man1/sidetone.1
	test -e $(DESTDIR)/etc/sidetone/sidetone.conf || install -D -m 0644 config/sidetone.conf $(DESTDIR)/etc/sidetone/sidetone.conf

install: install-files
	install -D -m 0644 systemd/sidetone.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/sidetone.conf
	install -D -m 0644 systemd/sidetone.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/sidetone.conf
	install -d $(DESTDIR)$(UNIT_DIR)
	sed 's|^ExecStart=/usr/bin/|ExecStart=$(PREFIX)/bin/|' systemd/sidetone.service >$(DESTDIR)$(UNIT_DIR)/sidetone.service
	chmod 0644 $(DESTDIR)$(UNIT_DIR)/sidetone.service

# A native package: its version is ours, so its changelog must name it.
DEB_FOLDER := build/deb/sidetone
deb: deb-deps
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@rm -rf build/deb build/sidetone_*.deb
	@mkdir -p $(DEB_FOLDER)
	@cp -r systemd/debian $(DEB_FOLDER)/debian
	@cp systemd/sidetone.service systemd/sidetone.sysusers systemd/sidetone.tmpfiles $(DEB_FOLDER)/debian/
	@cd $(DEB_FOLDER) && [ "$$(dpkg-parsechangelog -S Version)" = $(VERSION) ] || \
	  { echo "systemd/debian/changelog is not of version $(VERSION)" >&2; exit 1; }
	@cd $(DEB_FOLDER) && SIDETONE_TOP=$(CURDIR) dpkg-buildpackage -b -us -uc >../log 2>&1 || { cat ../log >&2; exit 1; }
	@mv build/deb/sidetone_$(VERSION)_*.deb build/
	@ls build/sidetone_*.deb

# In a root of its own, made of the packages that are installed here: no network. Needs chroot(2).
package: deb
	@$(if $(filter 0,$(shell id -u)),,sudo )$(PYTHON) -m pytest -q -p no:cacheprovider tests/package

clean:
	rm -rf build
