# What tests/tool takes dumps of: a program of Linux in both widths, and the tool itself.

TOOL_GUESTS := $(BUILD)/tests/tool/memory32 $(BUILD)/tests/tool/memory64

$(BUILD)/tests/tool/memory%: tests/tool/guest/memory.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(STANDARD) -m$* -O1 $(WARNINGS) -ffreestanding -fno-pic -no-pie -fno-stack-protector -nostdlib -static -z noexecstack $< -o $@

.PHONY: tool-guests
tool-guests: $(TOOL_GUESTS)

test-parts: tool-guests $(BUILD)/vmmu $(SAN)/vmmu
