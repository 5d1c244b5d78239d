# make install [PREFIX=/usr/local] [DESTDIR=]: the tool, its manual page and completion; the library, its headers and vmmu.pc.
# make uninstall with the same words takes exactly these away.

VERSION := $(shell sed -n 's/.*VMMU_VERSION "\(.*\)"/\1/p' tools/version.h)
PREFIX  := /usr/local
DESTDIR :=

INSTALL_TO      := $(DESTDIR)$(PREFIX)
INSTALL_HEADERS := $(sort $(wildcard include/vmmu/*.h))
# What is installed, each as SOURCE:PLACE:MODE.
INSTALLED := $(BUILD)/vmmu:bin/vmmu:755 \
             $(BUILD)/libvmmu.a:lib/libvmmu.a:644 \
             $(BUILD)/vmmu.pc:lib/pkgconfig/vmmu.pc:644 \
             $(BUILD)/vmmu.1:share/man/man1/vmmu.1:644 \
             tools/completion.bash:share/bash-completion/completions/vmmu:644 \
             $(foreach header,$(INSTALL_HEADERS),$(header):$(header):644)

# Written anew each time: the prefix may be another.
.PHONY: $(BUILD)/vmmu.pc
$(BUILD)/vmmu.pc: tools/vmmu.pc.in
	@mkdir -p $(@D)
	$(Q)sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|' $< > $@

$(BUILD)/vmmu.1: $(BUILD)/vmmu tools/vmmu.1.in scripts/manual
	$(Q)scripts/manual $(BUILD)/vmmu tools/vmmu.1.in $(VERSION) > $@.new && mv $@.new $@

.PHONY: install uninstall
install:
	@case '$(PREFIX)' in /*) ;; *) echo "make install: PREFIX is a path from / on, not '$(PREFIX)'" >&2; exit 2;; esac
	@scripts/install $(TOOL_PACKAGES)
	@$(MAKE) --no-print-directory -s $(BUILD)/vmmu $(BUILD)/libvmmu.a $(BUILD)/vmmu.1 $(BUILD)/vmmu.pc
	$(Q)set -e; for file in $(INSTALLED); do \
	    IFS=: read -r source place mode <<<"$$file"; \
	    install -D -m "$$mode" "$$source" "$(INSTALL_TO)/$$place"; \
	done
	@echo 'vmmu $(VERSION) is in $(INSTALL_TO)'

uninstall:
	$(Q)for file in $(INSTALLED); do \
	    IFS=: read -r source place mode <<<"$$file"; \
	    rm -f "$(INSTALL_TO)/$$place"; \
	done
	$(Q)if [ -d "$(INSTALL_TO)/include/vmmu" ]; then rmdir --ignore-fail-on-non-empty "$(INSTALL_TO)/include/vmmu"; fi
