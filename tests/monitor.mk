# The pure files of hv/monitor, beside the JSON writer, are tested on the host.
MONITOR_TESTED := $(patsubst %,$(SAN)/hv/monitor/%.o,request shadow_text booke_text text)
SAN_OBJECTS += $(MONITOR_TESTED)

$(SAN)/libvmmu-test.a: $(MONITOR_TESTED)
