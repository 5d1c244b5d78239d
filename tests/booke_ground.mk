# The proving ground of lib/booke (tests/booke/README.md), as a program: optimised and without sanitizers.

GROUND         := $(BUILD)/ground
GROUND_FLAGS   := $(STANDARD) -O2 -g $(WARNINGS) $(INCLUDES) -DVMMU_DEBUG -D_GNU_SOURCE
GROUND_SOURCES := $(filter lib/booke/% lib/base/%,$(LIB_SOURCES)) $(sort $(wildcard tests/booke/machine/*.c))
GROUND_OBJECTS := $(GROUND_SOURCES:%.c=$(GROUND)/%.o)

$(GROUND)/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(GROUND_FLAGS) -MMD -MP -c $< -o $@

$(GROUND)/ground: $(GROUND_OBJECTS)
	$(Q)$(CC) $(GROUND_FLAGS) $^ -o $@

.PHONY: booke booke-program booke-recipe
booke-program: $(GROUND)/ground

# What tests/defects needs to build a variant: the compiler with its flags, then the objects.
booke-recipe:
	@printf '%s\n' "$(CC) $(GROUND_FLAGS)" $(GROUND_OBJECTS)

# make booke [SEED=n] [OPS=m] [ENGINE=small|true]: a random run, the same for the same words; make booke SCRIPT=file: a script.
booke:
	@scripts/install $(BUILD_PACKAGES)
	@$(MAKE) --no-print-directory -s -j2 booke-program
	@$(GROUND)/ground $(if $(SCRIPT),--script '$(SCRIPT)',--seed '$(or $(SEED),1)' --ops '$(or $(OPS),100000)' \
	    --keep $(GROUND)/finding $(if $(ENGINE),--engine '$(ENGINE)'))
