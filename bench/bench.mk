# The benchmarks. make bench [BENCH="--kvm"]; make bench BENCH="--only tlb" boots nothing.

TLB_BENCH := $(BUILD)/bench/tlb

$(TLB_BENCH): bench/tlb/main.c $(BUILD)/libvmmu.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(STANDARD) $(WARNINGS) -O2 -D_GNU_SOURCE $(INCLUDES) $^ -o $@

ifeq ($(strip $(BENCH)),--only tlb)
BENCH_PACKAGES := gcc libc6-dev binutils python3
BENCH_TARGETS  := $(TLB_BENCH)
else
BENCH_PACKAGES := gcc libc6-dev binutils python3 git qemu-system-x86 musl-tools
BENCH_TARGETS  := $(TLB_BENCH) hv
endif

.PHONY: bench
bench:
	@scripts/install $(BENCH_PACKAGES)
	@$(MAKE) --no-print-directory -s -j2 $(BENCH_TARGETS)
	@bench/run $(BENCH)
