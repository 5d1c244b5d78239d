# Fuzz targets: see tests/fuzz/README.md. One file is one target; nothing here names them.

FUZZ         := $(BUILD)/fuzz
FUZZ_TARGETS := $(sort $(patsubst tests/fuzz/%_target.c,%,$(wildcard tests/fuzz/*_target.c)))
# What targets share: linked where it is used.
FUZZ_SUPPORT := $(filter-out %_target.c %/replay.c,$(wildcard tests/fuzz/*.c))
# What they borrow from the unit tests.
FUZZ_BORROWED := tests/unit/guest/room.c tests/unit/dev/invariants.c tests/unit/dev/mpic_invariants.c \
                 tests/unit/guest/e500_images.c $(wildcard tests/unit/shadow/invariants*.c)
FUZZ_SOURCES := $(LIB_SOURCES) $(PURE_SOURCES) $(TOOL_ROOMS) $(wildcard hv/boot/*.c) $(FUZZ_SUPPORT) $(FUZZ_BORROWED)
FUZZ_LIBS     = -Wl,--as-needed -lcmocka $(TOOL_LIBRARIES)
FUZZ_PACKAGES  = gcc libc6-dev python3 libcmocka-dev $(TOOL_PACKAGES)

# By clang, with libFuzzer: the library and all that the targets drive, instrumented.
FUZZ_CLANG_FLAGS   := $(STANDARD) -O1 -g $(WARNINGS) $(INCLUDES) -DVMMU_DEBUG -D_GNU_SOURCE -fno-omit-frame-pointer \
                      -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
FUZZ_CLANG_OBJECTS := $(FUZZ_SOURCES:%.c=$(FUZZ)/clang/%.o)

$(FUZZ)/clang/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(FUZZ_CLANG_FLAGS) -MMD -MP -c $< -o $@

$(FUZZ)/clang/hv/boot/memory.o: FUZZ_CLANG_FLAGS += -include tests/unit/boot/direct_map.h

$(FUZZ)/clang/libvmmu-fuzz.a: $(FUZZ_CLANG_OBJECTS)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(FUZZ_TARGETS:%=$(FUZZ)/clang/%): $(FUZZ)/clang/%: $(FUZZ)/clang/tests/fuzz/%_target.o $(FUZZ)/clang/libvmmu-fuzz.a
	$(Q)$(CLANG) $(FUZZ_CLANG_FLAGS) -fsanitize=fuzzer $^ $(FUZZ_LIBS) -o $@

# By gcc, with a driver that only replays and mutates.
FUZZ_REPLAY := $(FUZZ_TARGETS:%=$(FUZZ)/replay/%)

$(FUZZ)/replay/libvmmu-fuzz.a: $(FUZZ_SOURCES:%.c=$(SAN)/%.o)
	@mkdir -p $(@D)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(FUZZ_REPLAY): $(FUZZ)/replay/%: $(SAN)/tests/fuzz/%_target.o $(SAN)/tests/fuzz/replay.o $(FUZZ)/replay/libvmmu-fuzz.a
	$(Q)$(CC) $(SAN_FLAGS) $^ $(FUZZ_LIBS) -o $@

.SECONDARY: $(FUZZ_TARGETS:%=$(FUZZ)/clang/tests/fuzz/%_target.o) $(FUZZ_TARGETS:%=$(SAN)/tests/fuzz/%_target.o)

# make fuzz [TARGET=name [SECONDS=n]]: the list of targets, or one of them for some time.
.PHONY: fuzz fuzz-replay fuzz-replays
fuzz:
	@scripts/install $(FUZZ_PACKAGES) clang libclang-rt-dev
	@scripts/fuzz run --target='$(TARGET)' --seconds='$(SECONDS)'

# make fuzz-replay [TARGET=name] [FILE=path]: the committed seeds once more, or any one input.
fuzz-replay:
	@scripts/install $(FUZZ_PACKAGES)
	@scripts/fuzz replay --target='$(TARGET)' --file='$(FILE)'

fuzz-replays: $(FUZZ_REPLAY)
