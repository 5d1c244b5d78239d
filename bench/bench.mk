# The benchmarks. make bench [BENCH="--kvm"]; make bench BENCH="--only tlb" boots nothing; --only vpid traces and replays (minutes).

TLB_BENCH   := $(BUILD)/bench/tlb
VPID_REPLAY := $(BUILD)/bench/vpid-replay

$(TLB_BENCH): bench/tlb/main.c $(BUILD)/libvmmu.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(STANDARD) $(WARNINGS) -O2 -D_GNU_SOURCE $(INCLUDES) $^ -o $@

$(VPID_REPLAY): $(addprefix bench/vpid/,main.c replay.c trace.c) hv/x86/vp/tags.c $(BUILD)/libvmmu.a \
                $(wildcard bench/vpid/*.h) hv/x86/vp/tags.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(STANDARD) $(WARNINGS) -O2 -D_GNU_SOURCE $(INCLUDES) $(filter-out %.h,$^) -o $@

ifeq ($(strip $(BENCH)),--only tlb)
BENCH_PACKAGES := gcc libc6-dev binutils python3
BENCH_TARGETS  := $(TLB_BENCH)
else
BENCH_PACKAGES := gcc libc6-dev binutils python3 git qemu-system-x86 musl-tools
BENCH_TARGETS  := $(TLB_BENCH) $(VPID_REPLAY) hv
endif

.PHONY: bench
bench:
	@scripts/install $(BENCH_PACKAGES)
	@$(MAKE) --no-print-directory -s -j2 $(BENCH_TARGETS)
	@bench/run $(BENCH)
