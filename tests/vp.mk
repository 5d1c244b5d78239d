# What of hv/vp and hv/x86/vp holds no instruction of a processor's and asks nothing of the machine but its clock is tested on the host.

VP_TESTED   := $(SAN)/hv/vp/schedule.o $(SAN)/hv/vp/lock.o $(SAN)/hv/x86/vp/init.o
SAN_OBJECTS += $(VP_TESTED)

$(SAN)/libvmmu-test.a: $(VP_TESTED)
