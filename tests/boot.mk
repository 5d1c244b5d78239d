# The pure files of hv/boot are tested on the host. The page lists of memory.c live in the memory that they manage, which
# is a buffer here.

BOOT_TESTED := $(patsubst %.c,$(SAN)/%.o,$(wildcard hv/boot/*.c))
SAN_OBJECTS += $(BOOT_TESTED)

$(SAN)/libvmmu-test.a: $(BOOT_TESTED)
$(SAN)/hv/boot/memory.o $(SAN)/tests/unit/boot/test_memory.o: SAN_FLAGS += -include tests/unit/boot/direct_map.h
