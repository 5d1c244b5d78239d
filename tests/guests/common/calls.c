#include "tests/guests/common/calls.h"

#include "tests/guests/common/cpu.h"
#include "tests/guests/common/memory.h"
#include "tests/guests/common/report.h"

#define INTERFACE_LEAF 0x40000001
#define INTERFACE      0x31237648 /* "Hv#1" */
#define OUR_IDENTITY   0x8100000000000001

bool calls_offered(void)
{
    return !runs_bare() && cpuid(INTERFACE_LEAF, 0).a == INTERFACE;
}

void calls_start(void)
{
    msr_write(MSR_GUEST_OS_ID, OUR_IDENTITY);
    msr_write(MSR_HYPERCALL, CALL_PAGE | 1);
}

void calls_stop(void)
{
    msr_write(MSR_HYPERCALL, CALL_PAGE);
}

/* TLFS "Hypercall Inputs", "Hypercall Outputs". */
uint64_t hypercall(uint64_t value, uint64_t input, uint64_t output)
{
#ifdef __x86_64__
    uint64_t result;
    register uint64_t r8 __asm__("r8") = output;
    __asm__ volatile("call *%4"
                     : "=a"(result), "+c"(value), "+d"(input), "+r"(r8)
                     : "r"((uintptr_t)CALL_PAGE)
                     : "memory", "cc", "r9", "r10", "r11");
    return result;
#else
    static const uintptr_t page = CALL_PAGE;
    uint32_t low = (uint32_t)value, high = (uint32_t)(value >> 32), input_low = (uint32_t)input;
    uint32_t input_high = (uint32_t)(input >> 32), output_low = (uint32_t)output,
             output_high = (uint32_t)(output >> 32);
    __asm__ volatile("call *%6"
                     : "+a"(low), "+d"(high), "+b"(input_high), "+c"(input_low), "+D"(output_high),
                       "+S"(output_low)
                     : "m"(page)
                     : "memory", "cc");
    return (uint64_t)high << 32 | low;
#endif
}

enum status status_of(uint64_t result)
{
    detail("result %q", result);
    return (enum status)(result & 0xffff);
}

unsigned reps_of(uint64_t result)
{
    detail("result %q", result);
    return (unsigned)(result >> 32 & 0xfff);
}

volatile uint64_t *call_input(void)
{
    return (volatile uint64_t *)INPUT_PAGE;
}

volatile uint64_t *call_output(void)
{
    return (volatile uint64_t *)OUTPUT_PAGE;
}

/* --- flushes --- */

/* The header of a flush; how many words it has. @format is looked at by the Ex forms only. */
static unsigned put_flush(struct flush flush, bool ex, uint64_t format)
{
    volatile uint64_t *input = call_input();
    input[0] = flush.space;
    input[1] = flush.flags;
    if (!ex) {
        input[2] = flush.mask;
        return 3;
    }
    input[2] = format;
    input[3] = format == SET_SPARSE ? 1 : 0;
    input[4] = flush.mask;
    return format == SET_SPARSE ? 5 : 4;
}

static void put_list(unsigned at, const uint64_t *list, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        call_input()[at + i] = list[i];
    }
}

uint64_t flush_space(struct flush flush)
{
    put_flush(flush, false, 0);
    return hypercall(CALL_FLUSH_SPACE, INPUT_PAGE, 0);
}

uint64_t flush_list(struct flush flush, const uint64_t *list, unsigned count)
{
    put_list(put_flush(flush, false, 0), list, count);
    return hypercall(CALL_FLUSH_LIST | CALL_REPS(count), INPUT_PAGE, 0);
}

uint64_t flush_space_ex(struct flush flush, uint64_t format)
{
    const unsigned words = put_flush(flush, true, format);
    return hypercall(CALL_FLUSH_SPACE_EX | CALL_HEADER_WORDS(words - 4), INPUT_PAGE, 0);
}

uint64_t flush_list_ex(struct flush flush, uint64_t format, const uint64_t *list, unsigned count)
{
    const unsigned words = put_flush(flush, true, format);
    put_list(words, list, count);
    return hypercall(CALL_FLUSH_LIST_EX | CALL_HEADER_WORDS(words - 4) | CALL_REPS(count), INPUT_PAGE, 0);
}

/* --- calls about a partition's processor --- */

enum status register_get(struct target target, uint32_t name, struct value *value)
{
    volatile uint64_t *input = call_input();
    input[0] = target.partition;
    input[1] = target.vp;
    input[2] = name;
    const enum status status =
        status_of(hypercall(CALL_GET_REGISTERS | CALL_REPS(1), INPUT_PAGE, OUTPUT_PAGE));
    *value = (struct value){ call_output()[0], call_output()[1] };
    return status;
}

enum status register_set(struct target target, uint32_t name, struct value value)
{
    volatile uint64_t *input = call_input();
    input[0] = target.partition;
    input[1] = target.vp;
    input[2] = name;
    input[3] = 0;
    input[4] = value.low;
    input[5] = value.high;
    return status_of(hypercall(CALL_SET_REGISTERS | CALL_REPS(1), INPUT_PAGE, 0));
}

uint64_t register_read(struct target target, uint32_t name)
{
    struct value value;
    const enum status status = register_get(target, name, &value);
    if (status != STATUS_SUCCESS) {
        bail_out("register %x cannot be read: status %u", name, (unsigned)status);
    }
    return value.low;
}

enum status register_write(struct target target, uint32_t name, uint64_t value)
{
    return register_set(target, name, (struct value){ value, 0 });
}

enum status translate(struct target target, uint64_t control, uint64_t va, struct translation *out)
{
    volatile uint64_t *input = call_input();
    input[0] = target.partition;
    input[1] = target.vp;
    input[2] = control;
    input[3] = va / PAGE_BYTES;
    call_output()[0] = ~UINT64_C(0);
    const enum status status = status_of(hypercall(CALL_TRANSLATE, INPUT_PAGE, OUTPUT_PAGE));
    const uint64_t word = call_output()[0];
    *out = (struct translation){ (uint32_t)word, (uint8_t)(word >> 32), word >> 40 & 1, call_output()[1] };
    detail("status %u, code %u, type %u, page %q", (unsigned)status, out->code, out->cache_type, out->page);
    return status;
}

static void put_access(struct target target, uint64_t gpa, unsigned bytes)
{
    volatile uint64_t *input = call_input();
    input[0] = target.partition;
    input[1] = target.vp | (uint64_t)bytes << 32;
    input[2] = gpa;
    input[3] = 0;
    call_output()[0] = ~UINT64_C(0);
}

enum status gpa_read(struct target target, uint64_t gpa, void *to, unsigned bytes, uint32_t *code)
{
    put_access(target, gpa, bytes);
    const enum status status = status_of(hypercall(CALL_READ_GPA, INPUT_PAGE, OUTPUT_PAGE));
    *code = (uint32_t)call_output()[0];
    memcpy(to, (const void *)(OUTPUT_PAGE + 8), bytes > 16 ? 16 : bytes);
    return status;
}

enum status gpa_write(struct target target, uint64_t gpa, const void *from, unsigned bytes, uint32_t *code)
{
    put_access(target, gpa, bytes);
    memcpy((void *)(INPUT_PAGE + 32), from, bytes > 16 ? 16 : bytes);
    const enum status status = status_of(hypercall(CALL_WRITE_GPA, INPUT_PAGE, OUTPUT_PAGE));
    *code = (uint32_t)call_output()[0];
    return status;
}

/* The status of a call about @count pages. */
static enum status all_of(uint64_t result, unsigned count)
{
    if (status_of(result) == STATUS_SUCCESS && reps_of(result) != count) {
        bail_out("a call about %u pages succeeds with %u", count, reps_of(result));
    }
    return status_of(result);
}

enum status pages_map(uint64_t partition, uint64_t child_page, uint32_t rights, uint64_t page, unsigned count)
{
    volatile uint64_t *input = call_input();
    input[0] = partition;
    input[1] = child_page;
    input[2] = rights;
    for (unsigned i = 0; i < count; i++) {
        input[3 + i] = page + i;
    }
    return all_of(hypercall(CALL_MAP_PAGES | CALL_REPS(count), INPUT_PAGE, 0), count);
}

enum status pages_unmap(uint64_t partition, uint64_t child_page, unsigned count)
{
    volatile uint64_t *input = call_input();
    input[0] = partition;
    input[1] = child_page;
    input[2] = 0;
    return all_of(hypercall(CALL_UNMAP_PAGES | CALL_REPS(count), INPUT_PAGE, 0), count);
}
