# vmmu: see README.md. `make help` lists the targets.
#
# One Makefile for everything; each rule that takes more than a line is a script in scripts/.

BUILD   := build
CC      := gcc
CLANG   := clang
Q       := $(if $(V),,@)

WARNINGS  := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef -Wpointer-arith \
             -Wwrite-strings -Wswitch-enum -Wimplicit-fallthrough -Werror
STANDARD  := -std=c17
INCLUDES  := -Iinclude -I.

LIB_SOURCES  := $(sort $(shell find lib -name '*.c'))
# The rooms of the hypervisor that hold no privileged instruction: tested on the host.
PURE_SOURCES := $(sort $(shell find hv/dev hv/guest hv/x86/policy hv/ppc/core hv/ppc/insn hv/monitor/json.c hv/x86/vmx/capabilities.c -name '*.c' 2>/dev/null))
# The rooms of the tool: all but its main.c. Unit tests of theirs stand in tests/unit/tools_ROOM.
TOOL_ROOMS   := $(sort $(shell find tools -mindepth 2 -name '*.c' 2>/dev/null))
UNIT_SOURCES := $(sort $(shell find tests/unit tests/model -name 'test_*.c' 2>/dev/null))
TEST_SUPPORT := $(sort $(shell find tests/unit tests/model -name '*.c' ! -name 'test_*.c' 2>/dev/null))

# --- the library for embedders: build/libvmmu.a ---------------------------------------------------------------------
LIB_FLAGS ?= -O2 -g

$(BUILD)/lib/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(STANDARD) $(WARNINGS) -ffreestanding $(LIB_FLAGS) $(INCLUDES) -MMD -MP -c $< -o $@

$(BUILD)/libvmmu.a: $(LIB_SOURCES:%.c=$(BUILD)/lib/%.o)
	@rm -f $@
	$(Q)ar rcs $@ $^

.PHONY: lib
lib:
	@scripts/install $(BUILD_PACKAGES)
	@$(MAKE) --no-print-directory -s $(BUILD)/libvmmu.a

# --- hosted build with sanitizers: unit tests ------------------------------------------------------------------------
SAN        := $(BUILD)/san
SAN_FLAGS  := $(STANDARD) -O1 -g $(WARNINGS) $(INCLUDES) -DVMMU_DEBUG -D_GNU_SOURCE \
              -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
SAN_OBJECTS := $(patsubst %.c,$(SAN)/%.o,$(LIB_SOURCES) $(PURE_SOURCES) $(TOOL_ROOMS) $(TEST_SUPPORT))
UNIT_TESTS  := $(patsubst %.c,$(SAN)/%,$(UNIT_SOURCES))

$(SAN)/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(SAN_FLAGS) -MMD -MP -c $< -o $@

$(SAN)/libvmmu-test.a: $(SAN_OBJECTS)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(UNIT_TESTS): $(SAN)/%: $(SAN)/%.o $(SAN)/libvmmu-test.a
	$(Q)$(CC) $(SAN_FLAGS) $< $(SAN)/libvmmu-test.a -lcmocka $(TEST_LIBS) -o $@

# make unit [ONLY=word]: build and run the unit tests whose path holds the word.
.PHONY: unit
unit: $(if $(ONLY),$(foreach t,$(UNIT_TESTS),$(if $(findstring $(ONLY),$(t)),$(t))),$(UNIT_TESTS))
	$(Q)for t in $^; do echo "== $$t"; $$t 2>&1 | grep -v '^\[ *\(RUN\|OK\)' ; test $${PIPESTATUS[0]} -eq 0 || exit 1; done
SHELL := /bin/bash

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

# Each room brings its own rules; see the file that owns them.
include $(sort $(wildcard hv/hv.mk tests/*.mk bench/bench.mk scripts/*.mk)) $(sort $(wildcard tools/*.mk))
