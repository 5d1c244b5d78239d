# The benchmarks. make bench [BENCH="--kvm"]

.PHONY: bench
bench:
	@scripts/install gcc libc6-dev binutils python3 git qemu-system-x86 musl-tools
	@$(MAKE) --no-print-directory -s -j2 hv
	@bench/run $(BENCH)
