/*
 * Two address spaces, and nothing but HvSwitchVirtualAddressSpace between them: what each translates is kept, because nothing is
 * flushed. Whether that is so the hypervisor's own counters say at the end of the run: entries with a flush of the processor's TLB
 * where that is the guest's own, else faults that filled the tables which act as a large one. TLFS "HvSwitchVirtualAddressSpace".
 *
 * Guest: inside only
 * Guest: run two spaces under nested counts switch-space>=1000 flushes_made<100:
 * Guest: run two spaces under shadow counts switch-space>=1000 page-fault<100:
 */
#include "tests/guests/common/calls.h"
#include "tests/guests/common/cpu.h"
#include "tests/guests/common/guest.h"
#include "tests/guests/common/probe.h"
#include "tests/guests/common/report.h"

#define SWITCHES 1000
#define HERE     0x1111
#define THERE    0x2222

void guest_main(void)
{
    const struct paging *paging = *paging_modes();
    struct space here, there;
    unsigned wrong = 0;
    if (!calls_offered()) {
        report_skip_all("no hypervisor");
    }
    calls_start();
    tables_reset();
    space_make(&here, paging);
    space_make(&there, paging);
    space_map(&here, paging->test_va, 1, FRAME(0) | PTE_P | PTE_W);
    space_map(&there, paging->test_va, 1, FRAME(1) | PTE_P | PTE_W);
    frame_mark(FRAME(0), HERE);
    frame_mark(FRAME(1), THERE);
    space_enter(&here, 0, false);
    for (unsigned i = 0; i < SWITCHES; i++) {
        const struct space *to = i & 1 ? &here : &there;
        wrong += (hypercall(CALL_SWITCH_SPACE | CALL_FAST, to->root, 0) & 0xffff) != STATUS_SUCCESS;
        wrong += cr3_read() != to->root || marker_read(paging->test_va) != (i & 1 ? HERE : THERE);
    }
    detail("%u wrong", wrong);
    report(wrong == 0, "%s: each of many switches shows the pages of the space that was switched to",
           paging->name);
    space_leave();
    calls_stop();
}
