# The front door: run, test, iso and help. Each target installs the Debian packages that it lacks before anything is built,
# so that a machine with nothing but git and make can start here.

# gcc-multilib is never among them: it conflicts with Debian's cross compilers, and -m32 freestanding needs none of it.
BUILD_PACKAGES := gcc libc6-dev binutils python3 git
RUN_PACKAGES   := $(BUILD_PACKAGES) qemu-system-x86
# The same for PowerPC: a compiler, one of device trees, the emulated board; and what its Linux is built with from Debian's sources.
PPC_PACKAGES   := $(BUILD_PACKAGES) gcc-powerpc-linux-gnu device-tree-compiler qemu-system-ppc
LINUX_PACKAGES := libc6-dev-powerpc-cross make flex bison bc bzip2 xz-utils
# The emulated Intel processor, and its firmware.
INTEL_PACKAGES := bochs bochs-term bochsbios vgabios
ISO_PACKAGES   := $(BUILD_PACKAGES) grub-common grub-pc-bin grub-efi-amd64-bin xorriso mtools
# The tool, and what its libraries need to be compiled and checked.
TOOL_PACKAGES  := $(BUILD_PACKAGES) libjson-c-dev libelf-dev libkdumpfile-dev libsmartcols-dev libzydis-dev
# libclang-rt-dev has the sanitizers' headers, without which clang-tidy cannot read what includes them.
CHECK_PACKAGES := clang clang-format clang-tidy libclang-rt-dev shellcheck pyflakes3 gcc-powerpc-linux-gnu
# A browser that opens the tool's report, a tracer that makes traces, and what the installed files are looked at with.
VIEW_PACKAGES  := chromium valgrind pkg-config mandoc bash-completion
# Big-endian tests: the library of their programs, and what runs these; and another editor of device trees, to compare with.
BIG_PACKAGES   := libc6-dev-powerpc-cross qemu-user libfdt-dev
TEST_PACKAGES  := $(sort $(RUN_PACKAGES) $(PPC_PACKAGES) $(BIG_PACKAGES) $(INTEL_PACKAGES) $(ISO_PACKAGES) $(CHECK_PACKAGES) \
                         $(TOOL_PACKAGES) $(VIEW_PACKAGES) libcmocka-dev \
                         libunicorn-dev ovmf cpio)

.DEFAULT_GOAL := help

.PHONY: help
help:
	@echo 'make run      a guest shell: Debian'"'"'s own kernel under nested paging, on an emulated AMD machine'
	@echo 'make test     every test; the last line is "N passed, N failed"'
	@echo 'make test-long  what boots, on every emulated processor, the Intel ones above all: some hours'
	@echo 'make check    the static checks'
	@echo 'make bench    the benchmarks: build/bench.json and a table'
	@echo 'make iso      build/vmmu.iso: the hypervisor and a guest, for a real machine or another emulator'
	@echo 'make model    random guests on a processor that forgets nothing; make model SEED=n OPS=m repeats a run'
	@echo 'make booke    random Book-E guests against a naive TLB; make booke SEED=n OPS=m repeats a run'
	@echo 'make defects  plants defects in the engine; the last line is "N planted, N found"'
	@echo 'make fuzz     the fuzz targets; make fuzz TARGET=name SECONDS=n runs one'
	@echo 'make unit     the unit tests alone; make unit ONLY=word for some of them'
	@echo 'make tool     the command-line tool: build/vmmu; build/vmmu --help tells what it does'
	@echo 'make lib      the library: build/libvmmu.a; its headers are in include/'
	@echo 'make install  both, with manual page, pkg-config file and completion: PREFIX=/usr/local DESTDIR='
	@echo 'make hv       the hypervisor: build/vmmu.elf, and build/vmmu-ppc.elf for PowerPC where the cross compiler is'
	@echo 'make guests   the bare-metal test guests'
	@echo 'make clean    removes build/ (fetched Debian packages stay in ~/.cache/vmmu)'
	@echo
	@echo 'Each installs the Debian packages that it lacks. scripts/vm --help tells how to boot guests by hand.'

# The first sector of a disk that boots the hypervisor where the emulator cannot: see scripts/vmlib/disk.py.
$(BUILD)/disk/loader.bin: scripts/disk/loader.S
	@mkdir -p $(@D)
	$(Q)$(CC) -m32 -c $< -o $(@D)/loader.o
	$(Q)ld -m elf_i386 -Ttext 0x7c00 -e start --oformat binary $(@D)/loader.o -o $@

hv: $(BUILD)/disk/loader.bin

# The hypervisor and what it runs on, from nothing.
.PHONY: hypervisor
hypervisor:
	@scripts/install $(RUN_PACKAGES)
	@echo 'building the hypervisor' >&2
	@$(MAKE) --no-print-directory -s -j2 hv

.PHONY: hypervisor-ppc
hypervisor-ppc:
	@scripts/install $(PPC_PACKAGES)
	@echo 'building the hypervisor for PowerPC' >&2
	@$(MAKE) --no-print-directory -s -j2 hv-ppc

.PHONY: run
run: hypervisor
	@if [ -t 0 ]; then scripts/vm shell; else scripts/vm run --file scripts/demonstration -- /root/demonstration; fi

.PHONY: test
test:
	@scripts/install $(TEST_PACKAGES)
	@scripts/test $(ONLY)

# The same machines and guests on every other host and processor: hours, not minutes.
.PHONY: test-long
test-long:
	@scripts/install $(TEST_PACKAGES) $(LINUX_PACKAGES)
	@scripts/test --long $(ONLY)

# What scripts/test asks of this Makefile.
.PHONY: test-parts list-unit-tests
test-parts: $(UNIT_TESTS) hv hv-ppc guests guests-ppc
list-unit-tests:
	@printf '%s\n' $(UNIT_TESTS)

.PHONY: iso
iso:
	@scripts/install $(ISO_PACKAGES)
	@$(MAKE) --no-print-directory -s -j2 hv
	@scripts/guests debian-amd64
	@scripts/iso $(BUILD)/vmmu.iso

.PHONY: clean
clean:
	rm -rf $(BUILD)
