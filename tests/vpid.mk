# bench/vpid but for the recorder, which lives in an emulator; and the hypervisor's own choice of tags, which the replay uses.

VPID_TESTED := bench/vpid/replay.o bench/vpid/trace.o hv/x86/vp/tags.o

$(SAN)/libvmmu-test.a: $(addprefix $(SAN)/,$(VPID_TESTED))
$(COV)/libvmmu-test.a: $(addprefix $(COV)/,$(VPID_TESTED))
