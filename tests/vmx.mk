# The judge of recorded VM entries (tests/model/vmx/entry.h): build/model/entries FILE...

ENTRIES_OBJECTS := $(patsubst %.c,$(MODEL)/%.o,$(filter-out %/good_images.c tests/model/vmx/test_% \
                   tests/model/vmx/mutations_%,$(wildcard tests/model/vmx/*.c)))

$(MODEL)/entries: $(ENTRIES_OBJECTS)
	$(Q)$(CC) $(MODEL_FLAGS) $^ -o $@

.PHONY: entries
entries: $(MODEL)/entries

test-parts: entries
