# The technique of Book E, and what all techniques stand on, hold no instruction of a processor's: they are tested on the host.

MMU_TESTED  := $(patsubst %,$(SAN)/hv/mmu/%.o,booke cover mmu)
SAN_OBJECTS += $(MMU_TESTED)

$(SAN)/libvmmu-test.a: $(MMU_TESTED)
