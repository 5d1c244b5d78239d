# The pure files of hv/boot are tested on the host. The page lists of memory.c live in the memory that they manage, which
# is a buffer here.

BOOT_TESTED := $(patsubst %.c,$(SAN)/%.o,$(wildcard hv/boot/*.c) hv/ppc/arith.c hv/ppc/channel.c)
SAN_OBJECTS += $(BOOT_TESTED)

$(SAN)/libvmmu-test.a: $(BOOT_TESTED)
$(SAN)/hv/boot/memory.o $(SAN)/tests/unit/boot/test_memory.o: SAN_FLAGS += -include tests/unit/boot/direct_map.h

# Device trees are made by the library that everyone else makes them with.
$(SAN)/tests/unit/boot/test_fdt_boot: TEST_LIBS += -lfdt

# The ground of the hypervisor alone, with a main that tries it: tests/ground/suite boots it.
GROUND         := $(BUILD)/ground
GROUND_SOURCES := $(filter-out $(HV_PPC_FILES),$(wildcard hv/boot/*.c)) $(wildcard hv/x86/*.c hv/x86/*.S) tests/ground/main.c
GROUND_OBJECTS := $(addprefix $(HV)/,$(addsuffix .o,$(GROUND_SOURCES)))

.PHONY: ground
ground: $(GROUND)/vmmu.elf

$(GROUND)/vmmu64.elf: $(GROUND_OBJECTS) $(HV)/hv.ld
	@mkdir -p $(@D)
	$(Q)$(CC) $(HV_LINK) -Wl,-T,$(HV)/hv.ld $(GROUND_OBJECTS) -o $@
