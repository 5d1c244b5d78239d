# lib/booke's unit tests once more, big-endian: built for PowerPC and linked statically, run by tests/booke_big/suite under user
# emulation. What is undefined ends a program here as it does natively, but by an illegal instruction.

BOOKE_BIG         := $(BUILD)/booke-big
BOOKE_BIG_CC      := powerpc-linux-gnu-gcc
BOOKE_BIG_FLAGS   := $(STANDARD) -O1 -g $(WARNINGS) -Itests/unit/plain $(INCLUDES) -DVMMU_DEBUG -D_GNU_SOURCE \
                     -fsanitize=undefined -fsanitize-undefined-trap-on-error
BOOKE_BIG_SOURCES := $(sort $(wildcard lib/base/*.c lib/booke/*.c) $(filter-out tests/unit/booke/test_%,$(wildcard tests/unit/booke/*.c)))
BOOKE_BIG_OBJECTS := $(BOOKE_BIG_SOURCES:%.c=$(BOOKE_BIG)/%.o)
BOOKE_BIG_TESTS   := $(patsubst %.c,$(BOOKE_BIG)/%,$(sort $(wildcard tests/unit/booke/test_*.c)))

$(BOOKE_BIG)/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(BOOKE_BIG_CC) $(BOOKE_BIG_FLAGS) -MMD -MP -c $< -o $@

$(BOOKE_BIG_TESTS): $(BOOKE_BIG)/%: $(BOOKE_BIG)/%.o $(BOOKE_BIG_OBJECTS)
	$(Q)$(BOOKE_BIG_CC) -static $^ -o $@

.PHONY: booke-big list-booke-big
booke-big: $(BOOKE_BIG_TESTS)
list-booke-big:
	@printf '%s\n' $(BOOKE_BIG_TESTS)

test-parts: booke-big
