# Line coverage of the library by the hosted tests: see scripts/coverage.

COV       := $(BUILD)/cov
COV_FLAGS := $(STANDARD) -O0 -g $(WARNINGS) $(INCLUDES) -DVMMU_DEBUG -D_GNU_SOURCE

COV_LIB_OBJECTS  := $(LIB_SOURCES:%.c=$(COV)/%.o)
COV_TEST_OBJECTS := $(patsubst %.c,$(COV)/%.o,$(filter-out $(COV_NOT_COUNTED),$(TEST_SUPPORT)))
# Tests of the hypervisor's rooms do not count, and may want more than the library beside them.
COV_NOT_COUNTED  := $(addprefix tests/unit/,$(addsuffix /%,$(notdir $(wildcard hv/* hv/x86/*))))
COV_TESTS        := $(patsubst %.c,$(COV)/%,$(filter-out $(COV_NOT_COUNTED),$(UNIT_SOURCES)))

# Only the library is counted; the rest runs at full speed.
$(COV)/lib/%.o: lib/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(COV_FLAGS) --coverage -fprofile-abs-path -MMD -MP -c $< -o $@

$(COV)/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(COV_FLAGS) -O1 -MMD -MP -c $< -o $@

$(COV)/libvmmu-test.a: $(COV_LIB_OBJECTS) $(COV_TEST_OBJECTS)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(COV_TESTS): $(COV)/%: $(COV)/%.o $(COV)/libvmmu-test.a
	$(Q)$(CC) --coverage $< $(COV)/libvmmu-test.a -Wl,--as-needed -lcmocka -lunicorn -lZydis -o $@

.PHONY: coverage-programs list-coverage-programs coverage
coverage-programs: $(COV_TESTS)
list-coverage-programs:
	@printf '%s\n' $(COV_TESTS)

# make coverage [ONLY=lib/x86/walk]: the table, and the lines that no test reaches.
coverage:
	@scripts/install gcc libcmocka-dev libunicorn-dev libzydis-dev
	@scripts/coverage $(ONLY)
