# The hypervisor: build/vmmu.elf, what boot loaders load; build/vmmu64.elf, the same with debug information.

HV         := $(BUILD)/hv
HV_SOURCES := $(sort $(shell find hv/boot hv/vp hv/mmu hv/dev hv/guest hv/monitor hv/x86 -name '*.c' -o -name '*.S' 2>/dev/null)) \
              $(LIB_SOURCES)
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
hv: $(BUILD)/vmmu.elf

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

# What `make iso` puts beside the hypervisor: a guest's kernel and initrd, if these files exist.
export ISO_KERNEL ?= $(BUILD)/guests/debian-amd64/vmlinuz
export ISO_INITRD ?= $(BUILD)/guests/debian-amd64/initrd.cpio
export ISO_MEMORY ?= 512M
export ISO_APPEND ?= console=ttyS0
