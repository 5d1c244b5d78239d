/*
 * Results and flags. Where the manuals leave a flag undefined it is cleared, or left
 * alone as real processors do.
 *
 * Addition and subtraction get their flags from the carry out of each bit position: CF is that of the top
 * bit, AF that of bit 3, OF whether the carries into and out of the top bit differ.
 */
#include "perform.h"

static uint64_t flag_if(bool condition, uint64_t flag)
{
    return condition ? flag : 0;
}

static bool top_bit(const struct arithmetic *a, uint64_t value)
{
    return value >> (a->size_bytes * 8 - 1) & 1;
}

/* PF is set if the low byte has an even number of ones: 9669 has bit N set where N has. */
static bool is_even(uint64_t value)
{
    const unsigned nibble = (unsigned)(value ^ value >> 4) & 0xF;

    return 0x9669 >> nibble & 1;
}

static uint64_t result_flags(const struct arithmetic *a)
{
    return flag_if(a->result == 0, RFLAGS_ZF) | flag_if(top_bit(a, a->result), RFLAGS_SF) |
           flag_if(is_even(a->result), RFLAGS_PF);
}

static void set_flags(struct arithmetic *a, uint64_t which, uint64_t flags)
{
    a->rflags = (a->rflags & ~which) | (flags & which);
}

/* All six status flags, from the result and the carry out of each bit. */
static void set_status(struct arithmetic *a, uint64_t carries, uint64_t which)
{
    set_flags(a, which,
              result_flags(a) | flag_if(top_bit(a, carries), RFLAGS_CF) |
                  flag_if(carries >> 3 & 1, RFLAGS_AF) |
                  flag_if(top_bit(a, carries) != top_bit(a, carries << 1), RFLAGS_OF));
}

static void add(struct arithmetic *a, uint64_t source, bool carry, uint64_t which)
{
    const uint64_t destination = a->destination;
    uint64_t carries;

    a->result = (destination + source + carry) & mask_of(a->size_bytes);
    carries = (destination & source) | ((destination | source) & ~a->result);
    set_status(a, carries, which);
}

/* @minuend - source - borrow, into the result. */
static void subtract(struct arithmetic *a, uint64_t minuend, uint64_t source, bool borrow)
{
    uint64_t borrows;

    a->result = (minuend - source - borrow) & mask_of(a->size_bytes);
    borrows = (~minuend & source) | ((~minuend | source) & a->result);
    set_status(a, borrows, RFLAGS_STATUS);
}

static void logic(struct arithmetic *a, uint64_t result)
{
    a->result = result & mask_of(a->size_bytes);
    set_status(a, 0, RFLAGS_STATUS);
}

/* DEC is subtraction of one that leaves CF alone. */
static void decrement(struct arithmetic *a)
{
    const uint64_t carry = a->rflags & RFLAGS_CF;

    subtract(a, a->destination, 1, false);
    set_flags(a, RFLAGS_CF, carry);
}

/* SHL, SHR and SAR by a count that is not zero. In 8 and 16 bits the count may exceed the size. */
static void shift(enum vmmu_insn_operation operation, struct arithmetic *a, unsigned count)
{
    const uint64_t value =
        operation == VMMU_INSN_SAR ? sign_extend(a->destination, a->size_bytes) : a->destination;
    const unsigned bits = a->size_bytes * 8;
    bool carry;
    bool overflow;

    if (operation == VMMU_INSN_SHL) {
        carry = count <= bits && (value >> (bits - count) & 1);
        a->result = value << count & mask_of(a->size_bytes);
        overflow = top_bit(a, a->result) != carry;
    } else if (operation == VMMU_INSN_SHR) {
        carry = value >> (count - 1) & 1;
        a->result = value >> count;
        overflow = top_bit(a, value);
    } else {
        carry = (int64_t)value >> (count - 1) & 1;
        a->result = (uint64_t)((int64_t)value >> count) & mask_of(a->size_bytes);
        overflow = false;
    }
    set_flags(a, RFLAGS_STATUS, result_flags(a) | flag_if(carry, RFLAGS_CF) | flag_if(overflow, RFLAGS_OF));
}

/* The four rotates, a bit at a time: 8 and 16 bits with carry rotate modulo 9 and 17. */
static void rotate(enum vmmu_insn_operation operation, struct arithmetic *a, unsigned count)
{
    const bool leftwards = operation == VMMU_INSN_ROL || operation == VMMU_INSN_RCL;
    const bool through_carry = operation == VMMU_INSN_RCL || operation == VMMU_INSN_RCR;
    const unsigned top = a->size_bytes * 8 - 1;
    uint64_t value = a->destination;
    bool carry = a->rflags & RFLAGS_CF;

    for (; count != 0; count--) {
        const bool out = value >> (leftwards ? top : 0) & 1;
        const uint64_t in = through_carry ? carry : out;

        value = leftwards ? (value << 1 & mask_of(a->size_bytes)) | in : value >> 1 | in << top;
        carry = out;
    }
    a->result = value;
    set_flags(a, RFLAGS_CF | RFLAGS_OF,
              flag_if(carry, RFLAGS_CF) |
                  flag_if(top_bit(a, value) != (leftwards ? carry : top_bit(a, value << 1)), RFLAGS_OF));
}

static void shift_or_rotate(enum vmmu_insn_operation operation, struct arithmetic *a)
{
    const unsigned count = (unsigned)a->source & (a->size_bytes == 8 ? 63 : 31);

    a->result = a->destination;
    if (count == 0)
        return;
    if (operation >= VMMU_INSN_SHL) {
        shift(operation, a, count);
    } else {
        rotate(operation, a, count);
    }
}

/* Only CF is defined; real processors leave the other flags alone. */
static void test_bit(enum vmmu_insn_operation operation, struct arithmetic *a)
{
    const uint64_t bit = BIT64(a->source & (a->size_bytes * 8U - 1));

    set_flags(a, RFLAGS_CF, flag_if(a->destination & bit, RFLAGS_CF));
    a->result = a->destination;
    if (operation == VMMU_INSN_BTS) {
        a->result |= bit;
    } else if (operation == VMMU_INSN_BTR) {
        a->result &= ~bit;
    } else if (operation == VMMU_INSN_BTC) {
        a->result ^= bit;
    }
}

/* The destination gets its own value back where the comparison failed: it is written in any case. */
static void compare_exchange(struct arithmetic *a)
{
    subtract(a, a->accumulator, a->destination, false);
    a->result = (a->rflags & RFLAGS_ZF) ? a->source : a->destination;
}

void vmmu_insn_compute(enum vmmu_insn_operation operation, struct arithmetic *a)
{
    const bool carry = a->rflags & RFLAGS_CF;

    /* A choice among a few of the many operations; the others never come here. */
    switch ((int)operation) {
    case VMMU_INSN_ADD:
    case VMMU_INSN_XADD: add(a, a->source, false, RFLAGS_STATUS); break;
    case VMMU_INSN_ADC: add(a, a->source, carry, RFLAGS_STATUS); break;
    case VMMU_INSN_INC: add(a, 1, false, RFLAGS_STATUS & ~RFLAGS_CF); break;
    case VMMU_INSN_SUB:
    case VMMU_INSN_CMP: subtract(a, a->destination, a->source, false); break;
    case VMMU_INSN_SBB: subtract(a, a->destination, a->source, carry); break;
    case VMMU_INSN_DEC: decrement(a); break;
    case VMMU_INSN_NEG: subtract(a, 0, a->destination, false); break;
    case VMMU_INSN_AND:
    case VMMU_INSN_TEST: logic(a, a->destination & a->source); break;
    case VMMU_INSN_OR: logic(a, a->destination | a->source); break;
    case VMMU_INSN_XOR: logic(a, a->destination ^ a->source); break;
    case VMMU_INSN_NOT: a->result = ~a->destination & mask_of(a->size_bytes); break;
    case VMMU_INSN_ROL:
    case VMMU_INSN_ROR:
    case VMMU_INSN_RCL:
    case VMMU_INSN_RCR:
    case VMMU_INSN_SHL:
    case VMMU_INSN_SHR:
    case VMMU_INSN_SAR: shift_or_rotate(operation, a); break;
    case VMMU_INSN_BT:
    case VMMU_INSN_BTS:
    case VMMU_INSN_BTR:
    case VMMU_INSN_BTC: test_bit(operation, a); break;
    case VMMU_INSN_CMPXCHG: compare_exchange(a); break;
    case VMMU_INSN_XCHG: a->result = a->source; break;
    default: VMMU_ASSERT(false); break;
    }
}
