# The hypervisor: build/vmmu.elf for x86-64 and build/vmmu-ppc.elf for PowerPC, what boot loaders load; build/vmmu64.elf and
# build/vmmu-ppc-debug.elf, the same with debug information. The second one is built where there is a compiler for it.

HV         := $(BUILD)/hv
PPC        := powerpc-linux-gnu-

# What is one processor's: techniques of its MMU, formats of its guests and its loaders, devices of its machines. The rest
# of these rooms is both's.
HV_NEUTRAL_ROOMS := hv/boot hv/vp hv/mmu hv/dev hv/guest hv/monitor
HV_PPC_FILES     := hv/boot/bundle% hv/boot/fdt_boot% hv/mmu/booke% hv/dev/mpic% hv/dev/e500% hv/guest/config_e500% \
                    hv/guest/e500% hv/guest/fdt% hv/guest/uimage% hv/monitor/booke%
HV_X86_FILES     := hv/boot/multiboot% hv/boot/rsdp% hv/mmu/nested% hv/mmu/shadow% hv/mmu/x86% hv/monitor/shadow% \
                    hv/dev/acpi_pm% hv/dev/calendar% hv/dev/ioapic% hv/dev/lapic% hv/dev/pc.c hv/dev/pc_% hv/dev/pic% \
                    hv/dev/pit% hv/dev/rtc% hv/guest/acpi% hv/guest/aml% hv/guest/config_policy% hv/guest/config_x86% \
                    hv/guest/firmware% hv/guest/linux% hv/guest/mp.c hv/guest/multiboot% hv/guest/start.c hv/guest/tables%
HV_ALL_NEUTRAL   := $(sort $(shell find $(HV_NEUTRAL_ROOMS) -name '*.c' -o -name '*.S' 2>/dev/null))

HV_SOURCES := $(filter-out $(HV_PPC_FILES),$(HV_ALL_NEUTRAL)) \
              $(sort $(shell find hv/x86 -name '*.c' -o -name '*.S' 2>/dev/null)) $(filter-out lib/booke/%,$(LIB_SOURCES))
HV_OBJECTS  = $(addprefix $(HV)/,$(addsuffix .o,$(HV_SOURCES)))

# General registers only: x87, SSE and the rest hold the guest's state while the hypervisor runs. Code is made when all of
# it is linked: an exit passes through many small functions of many files.
HV_CODE  := -O2 -g -flto=2 -ffreestanding -mgeneral-regs-only -mno-red-zone -mcmodel=kernel -fno-pic -fno-pie \
            -fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables -fno-common \
            -ffunction-sections -fdata-sections
HV_FLAGS := $(HV_CODE) $(INCLUDES)
HV_LINK  := $(HV_CODE) -nostdlib -static -no-pie -Wl,--gc-sections -Wl,--build-id=none -Wl,-z,max-page-size=4096 \
            -Wl,-z,noexecstack -Wl,--fatal-warnings

.PHONY: hv
hv: $(BUILD)/vmmu.elf $(if $(shell command -v $(PPC)gcc),$(BUILD)/vmmu-ppc.elf)

# What runs at the start, at the end or for people is made small: the file's size has a limit (layout.h).
$(HV)/hv/boot/%.o $(HV)/hv/guest/%.o $(HV)/hv/monitor/%.o $(HV)/hv/x86/policy/%.o: HV_SIZE = -Os
$(HV)/hv/x86/%start.c.o $(HV)/hv/x86/vp/create.c.o $(HV)/hv/x86/vp/report.c.o $(HV)/hv/x86/vmx/capabilities.c.o: HV_SIZE = -Os
$(HV)/hv/mmu/view.c.o $(HV)/hv/mmu/cover.c.o $(HV)/hv/x86/vp/hyperv_%.c.o $(HV)/hv/x86/vp/task.c.o $(HV)/hv/x86/vmx/record.c.o $(HV)/lib/x86/task/%.o: HV_SIZE = -Os
$(HV)/lib/x86/nested/%.o $(HV)/lib/x86/hyperv/%.o $(HV)/lib/x86/shadow/view%.o: HV_SIZE = -Os
$(HV)/hv/dev/acpi_pm.c.o $(HV)/hv/dev/calendar.c.o $(HV)/hv/dev/pc%.o $(HV)/hv/dev/rtc.c.o: HV_SIZE = -Os

$(HV)/%.c.o: %.c hv/hv.mk
	@mkdir -p $(@D)
	$(Q)$(CC) $(STANDARD) $(WARNINGS) $(HV_FLAGS) $(HV_SIZE) -MMD -MP -c $< -o $@

$(HV)/%.S.o: %.S hv/hv.mk
	@mkdir -p $(@D)
	$(Q)$(CC) $(HV_FLAGS) -MMD -MP -c $< -o $@

$(HV)/hv.ld: hv/hv.ld hv/x86/layout.h
	@mkdir -p $(@D)
	$(Q)$(CC) -E -P -undef -x c $(INCLUDES) $< -o $@

$(BUILD)/vmmu64.elf: $(HV_OBJECTS) $(HV)/hv.ld
	$(Q)$(CC) $(HV_LINK) -Wl,-T,$(HV)/hv.ld $(HV_OBJECTS) -o $@

# Multiboot 1 loaders want ELF32. Physical addresses are all below 4 GiB, and loaders look at nothing else.
%/vmmu.elf: %/vmmu64.elf
	$(Q)objcopy --strip-all -O elf32-i386 $< $@

# --- PowerPC ----------------------------------------------------------------------------------------------------------

HVP         := $(BUILD)/hv-ppc
HVP_SOURCES := $(filter-out $(HV_X86_FILES),$(HV_ALL_NEUTRAL)) \
               $(sort $(shell find hv/ppc -name '*.c' -o -name '*.S' 2>/dev/null)) $(filter-out lib/x86/%,$(LIB_SOURCES))
HVP_OBJECTS  = $(addprefix $(HVP)/,$(addsuffix .o,$(HVP_SOURCES)))

# An e500v2, without its floating point and vectors, which hold the guest's state. Where the direct map lies is hv/ppc/layout.h's.
HVP_CODE  := -O2 -g -flto=2 -mcpu=8548 -msoft-float -mno-sdata -mmultiple -Wa,-me500 -ffreestanding -fno-pic -fno-pie \
             -fno-stack-protector -fno-asynchronous-unwind-tables -fno-common -ffunction-sections -fdata-sections
HVP_FLAGS := $(HVP_CODE) $(INCLUDES) -DMEMORY_DIRECT_MAP='UINT64_C(0x40000000)' -DMEMORY_MAPPED_BYTES='UINT64_C(0xa0000000)'
HVP_LINK  := $(HVP_CODE) -nostdlib -static -no-pie -Wl,--gc-sections -Wl,--build-id=none -Wl,-z,max-page-size=4096 \
             -Wl,-z,noexecstack -Wl,--fatal-warnings

.PHONY: hv-ppc
hv-ppc: $(BUILD)/vmmu-ppc.elf

$(HVP)/hv/boot/%.o $(HVP)/hv/guest/%.o $(HVP)/hv/monitor/%.o $(HVP)/hv/ppc/start.c.o: HV_SIZE = -Os
# What compilers call by themselves must not be made of calls to itself, and stands apart from what is made as a whole.
$(HVP)/hv/ppc/string.c.o $(HVP)/hv/ppc/arith.c.o: HV_SIZE = -fno-lto -fno-tree-loop-distribute-patterns

$(HVP)/%.c.o: %.c hv/hv.mk
	@mkdir -p $(@D)
	$(Q)$(PPC)gcc $(STANDARD) $(WARNINGS) $(HVP_FLAGS) $(HV_SIZE) -MMD -MP -c $< -o $@

$(HVP)/%.S.o: %.S hv/hv.mk
	@mkdir -p $(@D)
	$(Q)$(PPC)gcc $(HVP_FLAGS) -MMD -MP -c $< -o $@

# The guest's device tree, which is part of the image.
$(HVP)/e500.dtb: hv/guest/e500.dts
	@mkdir -p $(@D)
	$(Q)dtc -q -O dtb -o $@ $<

$(HVP)/hv/guest/e500_blob.S.o: $(HVP)/e500.dtb
$(HVP)/hv/guest/e500_blob.S.o: HVP_FLAGS += -Wa,-I$(HVP)

$(HVP)/hv.ld: hv/ppc/hv.ld hv/ppc/layout.h
	@mkdir -p $(@D)
	$(Q)$(PPC)gcc -E -P -undef -x c $(INCLUDES) $< -o $@

$(BUILD)/vmmu-ppc-debug.elf: $(HVP_OBJECTS) $(HVP)/hv.ld
	$(Q)$(PPC)gcc $(HVP_LINK) -Wl,-T,$(HVP)/hv.ld $(HVP_OBJECTS) -o $@

%/vmmu-ppc.elf: %/vmmu-ppc-debug.elf
	$(Q)$(PPC)objcopy --strip-all $< $@

# What `make iso` puts beside the hypervisor: a guest's kernel and initrd, if these files exist.
export ISO_KERNEL ?= $(BUILD)/guests/debian-amd64/vmlinuz
export ISO_INITRD ?= $(BUILD)/guests/debian-amd64/initrd.cpio
export ISO_MEMORY ?= 512M
export ISO_APPEND ?= console=ttyS0
