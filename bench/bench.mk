# The benchmarks. make bench [BENCH="--kvm"]; make bench BENCH="--only tlb" boots nothing; --only batch and
# --only maps boot one guest; --only vpid traces and replays (minutes).

TLB_BENCH   := $(BUILD)/bench/tlb
BATCH_BENCH := $(BUILD)/bench/batch
MAPS_BENCH  := $(BUILD)/bench/measure
VPID_REPLAY := $(BUILD)/bench/vpid-replay
PARTITIONS_BENCH := $(BUILD)/bench/partitions

$(TLB_BENCH): bench/tlb/main.c $(BUILD)/libvmmu.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(STANDARD) $(WARNINGS) -O2 -D_GNU_SOURCE $(INCLUDES) $^ -o $@

$(BATCH_BENCH): bench/batch/main.c bench/batch/emulated.c $(BUILD)/libvmmu.a bench/batch/emulated.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(STANDARD) $(WARNINGS) -O2 -D_GNU_SOURCE $(INCLUDES) $(filter-out %.h,$^) -lunicorn -o $@

$(MAPS_BENCH): bench/maps/main.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(STANDARD) $(WARNINGS) -O2 -D_GNU_SOURCE $^ -o $@

$(VPID_REPLAY): $(addprefix bench/vpid/,main.c replay.c trace.c) hv/x86/vp/tags.c $(BUILD)/libvmmu.a \
                $(wildcard bench/vpid/*.h) hv/x86/vp/tags.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(STANDARD) $(WARNINGS) -O2 -D_GNU_SOURCE $(INCLUDES) $(filter-out %.h,$^) -o $@

$(PARTITIONS_BENCH): bench/partitions/main.c $(addprefix bench/vpid/,replay.c trace.c) hv/x86/vp/tags.c \
                     $(BUILD)/libvmmu.a $(wildcard bench/vpid/*.h) hv/x86/vp/tags.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(STANDARD) $(WARNINGS) -O2 -D_GNU_SOURCE $(INCLUDES) $(filter-out %.h,$^) -o $@

ifeq ($(strip $(BENCH)),--only tlb)
BENCH_PACKAGES = gcc libc6-dev binutils python3
BENCH_TARGETS  := $(TLB_BENCH)
else ifeq ($(strip $(BENCH)),--only partitions)
BENCH_PACKAGES = gcc libc6-dev binutils python3
BENCH_TARGETS  := $(PARTITIONS_BENCH)
else ifneq ($(filter traps booke,$(patsubst --only,,$(BENCH))),)
BENCH_PACKAGES = $(PPC_PACKAGES) $(LINUX_PACKAGES)
BENCH_TARGETS  := $(BUILD)/bench/traps-ppc.elf hv-ppc
else ifeq ($(strip $(BENCH)),--only batch)
BENCH_PACKAGES = $(TOOL_PACKAGES) libunicorn-dev qemu-system-x86
BENCH_TARGETS  := $(BATCH_BENCH) $(BUILD)/vmmu tool-guests
else ifeq ($(strip $(BENCH)),--only maps)
BENCH_PACKAGES = $(TOOL_PACKAGES) qemu-system-x86
BENCH_TARGETS  := $(MAPS_BENCH) $(BUILD)/vmmu tool-guests
else
BENCH_PACKAGES = $(TOOL_PACKAGES) libunicorn-dev qemu-system-x86 musl-tools
BENCH_TARGETS  := $(TLB_BENCH) $(BATCH_BENCH) $(MAPS_BENCH) $(VPID_REPLAY) $(PARTITIONS_BENCH) $(BUILD)/vmmu tool-guests hv
endif

.PHONY: bench
bench:
	@scripts/install $(BENCH_PACKAGES)
	@$(MAKE) --no-print-directory -s -j2 $(BENCH_TARGETS)
	@bench/run $(BENCH)
