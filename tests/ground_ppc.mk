# The ground of the hypervisor alone on PowerPC, with a main that tries it: tests/ground_ppc/suite boots it.

GROUND_PPC         := $(BUILD)/ground-ppc
GROUND_PPC_SOURCES := $(filter-out $(HV_X86_FILES),$(wildcard hv/boot/*.c)) $(wildcard hv/ppc/*.c hv/ppc/*.S) \
                      tests/ground_ppc/main.c
GROUND_PPC_OBJECTS := $(addprefix $(HVP)/,$(addsuffix .o,$(GROUND_PPC_SOURCES)))

.PHONY: ground-ppc
ground-ppc: $(GROUND_PPC)/vmmu-ppc.elf

$(GROUND_PPC)/vmmu-ppc-debug.elf: $(GROUND_PPC_OBJECTS) $(HVP)/hv.ld
	@mkdir -p $(@D)
	$(Q)$(PPC)gcc $(HVP_LINK) -Wl,-T,$(HVP)/hv.ld $(GROUND_PPC_OBJECTS) -o $@
