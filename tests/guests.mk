# The bare-metal test guests: see tests/guests/README.md.

GUESTS         := $(BUILD)/tests/guests
GUEST_COMMON   := $(sort $(wildcard tests/guests/common/*.c tests/guests/common/*.S))
GUEST_OBJECTS  := $(addsuffix .o,$(basename $(GUEST_COMMON)))
GUEST_PROGRAMS := $(sort $(wildcard tests/guests/*.c))
GUEST_FLAGS    := $(STANDARD) -O2 -g $(WARNINGS) -I. -ffreestanding -fno-pic -fno-stack-protector -mno-red-zone \
                  -mgeneral-regs-only -fno-asynchronous-unwind-tables -fno-tree-loop-distribute-patterns

# A guest runs in both widths unless its first lines say "Guest: 32-bit only" or "Guest: 64-bit only".
GUEST_NAMES_32 := $(patsubst tests/guests/%.c,%32,$(shell grep -L 'Guest: 64-bit only' $(GUEST_PROGRAMS)))
GUEST_NAMES_64 := $(patsubst tests/guests/%.c,%64,$(shell grep -L 'Guest: 32-bit only' $(GUEST_PROGRAMS)))
GUEST_IMAGES   := $(patsubst %,$(GUESTS)/%.elf,$(GUEST_NAMES_32) $(GUEST_NAMES_64))

define guest_rule
$(GUESTS)/$(1)/%.o: %.c
	@mkdir -p $$(@D)
	$$(Q)$$(CC) -m$(1) $$(GUEST_FLAGS) -MMD -MP -c $$< -o $$@

$(GUESTS)/$(1)/%.o: %.S
	@mkdir -p $$(@D)
	$$(Q)$$(CC) -m$(1) $$(GUEST_FLAGS) -MMD -MP -c $$< -o $$@

$(GUESTS)/%$(1).elf: $(GUESTS)/$(1)/tests/guests/%.o $(addprefix $(GUESTS)/$(1)/,$(GUEST_OBJECTS)) tests/guests/guests.ld
	$$(Q)ld -m $(2) -T tests/guests/guests.ld -static -nostdlib -z max-page-size=4096 -z noexecstack --no-warn-rwx-segments \
	    $$(filter %.o,$$^) -o $$@.linked
	$$(Q)objcopy -O elf32-i386 $$@.linked $$@
endef
$(eval $(call guest_rule,32,elf_i386))
$(eval $(call guest_rule,64,elf_x86_64))

.SECONDARY: $(patsubst tests/guests/%.c,$(GUESTS)/32/tests/guests/%.o,$(GUEST_PROGRAMS))
.SECONDARY: $(patsubst tests/guests/%.c,$(GUESTS)/64/tests/guests/%.o,$(GUEST_PROGRAMS))

# One line for each run, from the "Guest:" lines of the source: the image, and what the run needs beyond the plain processor
# ("needs la57") or how it is to end ("expects triple-fault"); "also X" is a second run that needs X. Where there are lines
# "run NAME: OPTIONS -- WORDS", each of them is one run and there is no plain one; "inside only" makes them "inside".
$(GUESTS)/manifest: $(GUEST_PROGRAMS) tests/guests.mk
	@mkdir -p $(@D)
	$(Q)for image in $(GUEST_NAMES_32) $(GUEST_NAMES_64); do \
	    tags=$$(sed -n 's/^ \* Guest: //p' tests/guests/$${image%??}.c); \
	    case $$tags in *'inside only'*) inside=' inside' ;; *) inside= ;; esac; \
	    case $$tags in \
	    *run\ *) sed -n "s/^run /$$image$$inside run /p" <<<"$$tags" ;; \
	    *'beside others only'*) ;; \
	    *) echo $$image $$(grep -v 'only$$\|^also' <<<"$$tags"); \
	        case $$image in *64) sed -n "s/^also /$$image needs /p" <<<"$$tags" ;; esac ;; \
	    esac; \
	done > $@

.PHONY: guests
guests: $(GUEST_IMAGES) $(GUESTS)/manifest
.SECONDARY: $(addprefix $(GUESTS)/32/,$(GUEST_OBJECTS)) $(addprefix $(GUESTS)/64/,$(GUEST_OBJECTS))
