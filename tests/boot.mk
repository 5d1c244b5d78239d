# The pure files of hv/boot are tested on the host. The page lists of memory.c live in the memory that they manage, which
# is a buffer here.

BOOT_TESTED := $(patsubst %.c,$(SAN)/%.o,$(wildcard hv/boot/*.c))
SAN_OBJECTS += $(BOOT_TESTED)

$(SAN)/libvmmu-test.a: $(BOOT_TESTED)
$(SAN)/hv/boot/memory.o $(SAN)/tests/unit/boot/test_memory.o: SAN_FLAGS += -include tests/unit/boot/direct_map.h

# The ground of the hypervisor alone, with a main that tries it: tests/ground/suite boots it.
GROUND         := $(BUILD)/ground
GROUND_SOURCES := $(wildcard hv/boot/*.c hv/x86/*.c hv/x86/*.S) tests/ground/main.c
GROUND_OBJECTS := $(addprefix $(HV)/,$(addsuffix .o,$(GROUND_SOURCES)))

.PHONY: ground
ground: $(GROUND)/vmmu.elf

$(GROUND)/vmmu64.elf: $(GROUND_OBJECTS) $(HV)/hv.ld
	@mkdir -p $(@D)
	$(Q)$(CC) $(HV_LINK) -Wl,-T,$(HV)/hv.ld $(GROUND_OBJECTS) -o $@
