# The command-line tool: build/vmmu. Hosted C: the libraries that it uses are Debian's packages.

TOOL_LIBRARIES := -ljson-c -lelf -lkdumpfile -lsmartcols -lZydis -lm

TOOL_FLAGS   := $(STANDARD) $(WARNINGS) $(INCLUDES) -O2 -g -D_GNU_SOURCE
TOOL_OBJECTS := $(patsubst %.c,$(BUILD)/tool/%.o,tools/main.c $(TOOL_ROOMS))

$(BUILD)/tool/%.o: %.c tools/tools.mk
	@mkdir -p $(@D)
	$(Q)$(CC) $(TOOL_FLAGS) -MMD -MP -c $< -o $@

$(BUILD)/vmmu: $(TOOL_OBJECTS) $(BUILD)/libvmmu.a
	$(Q)$(CC) $^ $(TOOL_LIBRARIES) -o $@

.PHONY: tool
tool:
	@scripts/install $(TOOL_PACKAGES)
	@$(MAKE) --no-print-directory -s $(BUILD)/vmmu

# The same with sanitizers, for tests.
$(SAN)/vmmu: $(SAN)/tools/main.o $(SAN)/libvmmu-test.a
	$(Q)$(CC) $(SAN_FLAGS) $< $(SAN)/libvmmu-test.a $(TOOL_LIBRARIES) -o $@

.PHONY: tool-san
tool-san: $(SAN)/vmmu

$(filter $(SAN)/tests/unit/tools_%,$(UNIT_TESTS)): TEST_LIBS += $(TOOL_LIBRARIES)
