# The proving ground of lib/booke (tests/booke/README.md), as a program: optimised and without sanitizers.

BOOKE         := $(BUILD)/booke
BOOKE_FLAGS   := $(STANDARD) -O2 -g $(WARNINGS) $(INCLUDES) -DVMMU_DEBUG -D_GNU_SOURCE
BOOKE_SOURCES := $(filter lib/booke/% lib/base/%,$(LIB_SOURCES)) $(sort $(wildcard tests/booke/machine/*.c))
BOOKE_OBJECTS := $(BOOKE_SOURCES:%.c=$(BOOKE)/%.o)

$(BOOKE)/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(BOOKE_FLAGS) -MMD -MP -c $< -o $@

$(BOOKE)/ground: $(BOOKE_OBJECTS)
	$(Q)$(CC) $(BOOKE_FLAGS) $^ -o $@

# Tests of the ground itself: alone, for its names are those of tests/model, too.
$(BOOKE)/test_reference: $(BOOKE)/tests/booke/test_reference.o $(filter-out %/main.o,$(BOOKE_OBJECTS))
	$(Q)$(CC) $(BOOKE_FLAGS) $^ -lcmocka -o $@

.PHONY: booke booke-program booke-tests booke-recipe
booke-program: $(BOOKE)/ground
booke-tests: $(BOOKE)/test_reference

# What tests/defects needs to build a variant: the compiler with its flags, then the objects.
booke-recipe:
	@printf '%s\n' "$(CC) $(BOOKE_FLAGS)" $(BOOKE_OBJECTS)

# make booke [SEED=n] [OPS=m] [ENGINE=small|true]: a random run, the same for the same words; make booke SCRIPT=file: a script.
booke:
	@scripts/install $(BUILD_PACKAGES)
	@$(MAKE) --no-print-directory -s -j2 booke-program
	@$(BOOKE)/ground $(if $(SCRIPT),--script '$(SCRIPT)',--seed '$(or $(SEED),1)' --ops '$(or $(OPS),100000)' \
	    --keep $(BOOKE)/finding $(if $(ENGINE),--engine '$(ENGINE)'))

# The fuzz target stands on the ground, too: what it is linked with besides the rest.
BOOKE_MACHINE := $(filter-out %/main.c,$(sort $(wildcard tests/booke/machine/*.c)))

$(BUILD)/fuzz/replay/booke: $(BOOKE_MACHINE:%.c=$(SAN)/%.o)
$(BUILD)/fuzz/clang/booke: $(BOOKE_MACHINE:%.c=$(BUILD)/fuzz/clang/%.o)
