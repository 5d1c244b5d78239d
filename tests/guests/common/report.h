/*
 * What a guest says on COM1: the lines of the Test Anything Protocol, the same
 * natively and inside a partition.
 *
 *   ok 3 - sentence
 *   ok 4 - sentence # skip reason
 *   not ok 5 - sentence: detail
 *   # comment, not compared
 *   1..5
 *
 * Formats know %s, %u, %x, %X (unsigned 32 bits), %p (uintptr_t) and %q (uint64_t), the
 * last two in hexadecimal.
 */
#ifndef TESTS_GUESTS_REPORT_H
#define TESTS_GUESTS_REPORT_H

#include <stdbool.h>
#include <stdint.h>

/* Text that goes to the end of the next report() if that one fails. */
void detail(const char *format, ...);

/* One result: whether the sentence holds. Returns @holds. */
bool report(bool holds, const char *format, ...);

/* One result that could not be had, and why. */
void report_skip(const char *reason, const char *format, ...);

/*
 * One result that the bare emulator is known to get wrong (docs/caveats.md, "The emulators"): skipped where
 * the guest runs on it, with what it did in a comment.
 */
void report_inside(bool holds, const char *format, ...);

/*
 * What the emulated processor gets wrong by itself, bare and inside a partition alike (docs/caveats.md, "The
 * emulators"): left out of the results, and told in a comment.
 */
void report_slip(bool holds, const char *format, ...);

/* A line that is not compared. */
void comment(const char *format, ...);

/*
 * Whether the guest runs on the bare emulator: by its signature, or the word "bare" or
 * "inside" on the command line.
 */
bool runs_bare(void);

/* Print the plan line and leave by the debug-exit port, 0 if all held. */
_Noreturn void report_end(void);

/* Print the plan of a guest that has nothing to do here, and leave with success. */
_Noreturn void report_skip_all(const char *reason);

/* Something happened that no test asked for. */
_Noreturn void bail_out(const char *format, ...);

/* Whether @word stands on the command line. */
bool option(const char *word);

#endif
