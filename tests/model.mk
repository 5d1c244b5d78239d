# The model machine (tests/model/README.md): tests/model/machine as a program, optimised and without sanitizers.

MODEL         := $(BUILD)/model
MODEL_FLAGS   := $(STANDARD) -O2 -g $(WARNINGS) $(INCLUDES) -DVMMU_DEBUG -D_GNU_SOURCE
MODEL_SOURCES := $(LIB_SOURCES) $(sort $(wildcard tests/model/machine/*.c)) \
                 $(wildcard tests/unit/shadow/invariants*.c)
MODEL_OBJECTS := $(MODEL_SOURCES:%.c=$(MODEL)/%.o)

$(MODEL)/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(MODEL_FLAGS) -MMD -MP -c $< -o $@

$(MODEL)/model: $(MODEL_OBJECTS)
	$(Q)$(CC) $(MODEL_FLAGS) $^ -o $@

.PHONY: model model-program model-recipe defects
model-program: $(MODEL)/model

# What tests/defects needs to build a variant: the compiler with its flags, then the objects.
model-recipe:
	@printf '%s\n' "$(CC) $(MODEL_FLAGS)" $(MODEL_OBJECTS)

# make model [SEED=n] [OPS=m] [ENGINE=name]: a random run, the same for the same words; make model SCRIPT=file: a script.
model:
	@scripts/install $(BUILD_PACKAGES)
	@$(MAKE) --no-print-directory -s -j2 model-program
	@$(MODEL)/model $(if $(SCRIPT),--script '$(SCRIPT)',--seed '$(or $(SEED),1)' --ops '$(or $(OPS),100000)' \
	    --keep $(MODEL)/finding $(if $(ENGINE),--engine '$(ENGINE)'))

# make defects [ONLY=word]: every planted defect must be found; the last line is "N planted, N found".
defects:
	@scripts/install $(BUILD_PACKAGES)
	@tests/defects/suite --people $(ONLY)
