# Static checks: see scripts/check. `make check [NAME="tidy shape"]`.

.PHONY: check
check:
	@scripts/check $(NAME)

# The library as others will embed it: freestanding, optimised, by two compilers for three processors.
FREESTANDING        := $(BUILD)/check/freestanding
FREESTANDING_FLAGS  := $(STANDARD) -O2 -fno-pic -ffreestanding $(WARNINGS) $(INCLUDES)
FREESTANDING_BUILDS := gcc-x86_64 gcc-i386 gcc-powerpc clang-x86_64 clang-i386 clang-powerpc

gcc-x86_64-compile    := gcc -m64
gcc-i386-compile      := gcc -m32
gcc-powerpc-compile   := powerpc-linux-gnu-gcc
clang-x86_64-compile  := clang --target=x86_64-linux-gnu
clang-i386-compile    := clang --target=i386-linux-gnu
clang-powerpc-compile := clang --target=powerpc-linux-gnu

define freestanding_rule
$(FREESTANDING)/$(1)/%.o: %.c
	@mkdir -p $$(@D)
	$$(Q)$$($(1)-compile) $$(FREESTANDING_FLAGS) -MMD -MP -c $$< -o $$@
endef
$(foreach build,$(FREESTANDING_BUILDS),$(eval $(call freestanding_rule,$(build))))

.PHONY: freestanding-objects
freestanding-objects: $(foreach build,$(FREESTANDING_BUILDS),$(LIB_SOURCES:%.c=$(FREESTANDING)/$(build)/%.o))
