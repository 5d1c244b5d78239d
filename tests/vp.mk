# What of hv/vp holds no instruction of a processor's and asks nothing of the machine but its clock is tested on the host.

VP_TESTED   := $(SAN)/hv/vp/schedule.o $(SAN)/hv/vp/lock.o
SAN_OBJECTS += $(VP_TESTED)

$(SAN)/libvmmu-test.a: $(VP_TESTED)
