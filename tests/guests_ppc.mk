# The bare-metal test guests of host ppc: see tests/guests/README.md.

GUESTS_PPC         := $(BUILD)/tests/guests-ppc
GUEST_PPC_COMMON   := $(sort $(wildcard tests/guests/ppc/common/*.[cS])) tests/guests/common/report.c
GUEST_PPC_PROGRAMS := $(sort $(wildcard tests/guests/ppc/*.c))
GUEST_PPC_OBJECTS  := $(patsubst %,$(GUESTS_PPC)/%.o,$(GUEST_PPC_COMMON))
GUEST_PPC_IMAGES   := $(patsubst tests/guests/ppc/%.c,$(GUESTS_PPC)/%.elf,$(GUEST_PPC_PROGRAMS))
GUEST_PPC_FLAGS    := $(STANDARD) -O2 -g $(WARNINGS) -I. -mcpu=8548 -msoft-float -mno-sdata -Wa,-me500 -ffreestanding -fno-pic \
                      -fno-stack-protector -fno-asynchronous-unwind-tables -fno-tree-loop-distribute-patterns
GUEST_PPC_LINK     := powerpc-linux-gnu-gcc -nostdlib -static -no-pie -Wl,-T,tests/guests/ppc/guests.ld -Wl,--build-id=none \
                      -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments

$(GUESTS_PPC)/%.o: %
	@mkdir -p $(@D)
	$(Q)powerpc-linux-gnu-gcc $(GUEST_PPC_FLAGS) -MMD -MP -c $< -o $@

$(GUESTS_PPC)/%.elf: $(GUESTS_PPC)/tests/guests/ppc/%.c.o $(GUEST_PPC_OBJECTS) tests/guests/ppc/guests.ld
	$(Q)$(GUEST_PPC_LINK) $(filter %.o,$^) -lgcc -o $@

.PHONY: guests-ppc
guests-ppc: $(GUEST_PPC_IMAGES)
.SECONDARY: $(GUEST_PPC_OBJECTS) $(patsubst %,$(GUESTS_PPC)/%.o,$(GUEST_PPC_PROGRAMS))

# The benchmark's guest is one of them, too.
$(BUILD)/bench/traps-ppc.elf: $(GUESTS_PPC)/bench/ppc/traps.c.o $(GUEST_PPC_OBJECTS) tests/guests/ppc/guests.ld
	@mkdir -p $(@D)
	$(Q)$(GUEST_PPC_LINK) $(filter %.o,$^) -lgcc -o $@
