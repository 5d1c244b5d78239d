/* Guests that fill a TLB in place of tables: which hypervisor has such, and what is shown of their entries. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/test.h"
#include "tests/unit/tools_live/hypervisor.h"
#include "tools/command.h"
#include "tools/live/tlb.h"

#define NOWHERE UINT64_MAX

#define GUESTS(technique)                                                                                    \
    "{\"vmmu_partitions\":1,\"partitions\":[{\"partition\":0,\"technique\":\"" technique "\"}]}"

/* Two pages of the guest's, and what the processor has of the first, and of an entry that there is not. */
#define ENTRIES                                                                                              \
    "{\"vp\":0,\"pid\":[3,0,0],\"virtual\":["                                                                \
    "{\"index\":5,\"array\":0,\"set\":1,\"way\":2,\"mas1\":\"0x80000100\",\"mas2\":\"0x80001002\","          \
    "\"mas3\":\"0x2345005\",\"ea\":\"0x80001000\",\"gpa\":\"0x2345000\",\"bytes\":\"0x1000\",\"tid\":7,"     \
    "\"space\":0},"                                                                                          \
    "{\"index\":512,\"array\":1,\"set\":0,\"way\":0,\"mas1\":\"0xc0000800\",\"mas2\":\"0x0\","               \
    "\"mas3\":\"0x3f\",\"ea\":\"0x0\",\"gpa\":\"0x0\",\"bytes\":\"0x4000000\",\"tid\":0,\"space\":1}],"      \
    "\"real\":["                                                                                             \
    "{\"from\":5,\"array\":0,\"set\":1,\"way\":3,\"mas2\":\"0x80001004\",\"mas3\":\"0xa34500b\","            \
    "\"ea\":\"0x80001000\",\"hpa\":\"0xa345000\",\"bytes\":\"0x1000\",\"tid\":1,\"space\":1},"               \
    "{\"from\":9,\"array\":1,\"set\":0,\"way\":4,\"mas2\":\"0x4\",\"mas3\":\"0x1\",\"ea\":\"0x0\","          \
    "\"hpa\":\"0x8000000\",\"bytes\":\"0x4000000\",\"tid\":1,\"space\":1}]}"

/* How an act ended, and what it printed. */
struct ended {
    int status;
    char text[4096];
};

/* What @act comes to, in a process of its own, with @words behind it, where the hypervisor answers @answer. */
static struct ended run(int (*act)(struct tlb_question question), const char *answer, bool json,
                        const char *words)
{
    struct hypervisor other;
    struct ended ended = { 0 };
    FILE *const out = tmpfile();
    pid_t child;

    hypervisor_says = answer;
    other = hypervisor_start("{}", NOWHERE, NOWHERE, false);
    (void)fflush(NULL);
    child = fork();
    EXPECT(child >= 0);
    if (child == 0) {
        char *list[8];
        char copy[64];
        struct tlb_question question = { .socket = other.socket, .json = json, .words = list };

        (void)snprintf(copy, sizeof(copy), "%s", words);
        for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
            list[question.word_count++] = word;
        }
        (void)dup2(fileno(out), STDOUT_FILENO);
        (void)dup2(fileno(out), STDERR_FILENO);
        argp_err_exit_status = COMMAND_USAGE;
        exit(act(question));
    }
    EXPECT_EQ(waitpid(child, &ended.status, 0), child);
    EXPECT(WIFEXITED(ended.status));
    ended.status = WEXITSTATUS(ended.status);
    rewind(out);
    ended.text[fread(ended.text, 1, sizeof(ended.text) - 1, out)] = '\0';
    (void)fclose(out);
    hypervisor_end(&other);
    hypervisor_says = NULL;
    return ended;
}

static void expect_text(const struct ended *ended, const char *words)
{
    if (!strstr(ended->text, words)) {
        fail_msg("no \"%s\" in \"%s\"", words, ended->text);
    }
}

/* --- whose guests fill a TLB --- */

static bool ask(const char *answer, bool *is)
{
    struct hypervisor other;
    struct complaint complaint;
    bool asked;

    hypervisor_says = answer;
    other = hypervisor_start("{}", NOWHERE, NOWHERE, false);
    asked = tlb_is_guests(other.socket, is, &complaint);
    hypervisor_end(&other);
    hypervisor_says = NULL;
    return asked;
}

static void test_guests_fill_a_tlb_where_the_technique_is_book_es(void **state)
{
    bool is = false;

    (void)state;
    EXPECT(ask(GUESTS("booke"), &is) && is);
    EXPECT(ask(GUESTS("shadow"), &is) && !is);
    EXPECT(ask(GUESTS("nested"), &is) && !is);
}

static void test_a_hypervisor_that_does_not_tell_its_guests_is_a_complaint(void **state)
{
    static const char *const answers[] = { "{\"vmmu_partitions\":1}",
                                           "{\"vmmu_partitions\":1,\"partitions\":[]}",
                                           "{\"vmmu_partitions\":1,\"partitions\":[7]}",
                                           "{\"vmmu_partitions\":1,\"partitions\":[{\"technique\":3}]}",
                                           "{\"vmmu_partitions\"" };
    bool is = true;

    (void)state;
    for (unsigned i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        EXPECT(!ask(answers[i], &is) && !is);
    }
}

/* --- an address --- */

static void test_the_hypervisors_own_text_of_an_address_is_shown(void **state)
{
    const struct ended ended =
        run(tlb_walk, "walk of 80001000 by VP 0\nload   gpa 2345000\nguest  TLB0 1.2\nreal   \033[2J", false,
            "80001000");

    (void)state;
    EXPECT_EQ(ended.status, COMMAND_OK);
    EXPECT_EQ(
        strcmp(ended.text, "walk of 80001000 by VP 0\nload   gpa 2345000\nguest  TLB0 1.2\nreal   ?[2J\n"),
        0);
}

static void test_an_address_that_the_guest_has_no_entry_for_is_a_no(void **state)
{
    const struct ended text = run(tlb_walk, "walk of 70000000 by VP 0\nload   no entry", false, "70000000");
    const struct ended json = run(tlb_walk, ENTRIES, true, "70000000");

    (void)state;
    EXPECT_EQ(text.status, COMMAND_NO);
    EXPECT_EQ(json.status, COMMAND_NO);
    expect_text(&json, "\"va\":\"0x70000000\"");
    EXPECT(!strstr(json.text, "\"gpa\""));
}

static void test_as_a_document_an_address_has_the_entries_that_cover_it_and_no_others(void **state)
{
    const struct ended ended = run(tlb_walk, ENTRIES, true, "80001fff");

    (void)state;
    EXPECT_EQ(ended.status, COMMAND_OK);
    expect_text(&ended, "\"va\":\"0x80001fff\"");
    expect_text(&ended, "\"gpa\":\"0x2345000\"");
    expect_text(&ended, "\"hpa\":\"0xa345000\"");
    EXPECT(!strstr(ended.text, "\"0x4000000\""));
}

static void test_what_there_is_not_is_said_in_the_hypervisors_words(void **state)
{
    const struct ended text = run(tlb_walk, "there is no VP 3", false, "--cpu 3 80001000");
    const struct ended json = run(tlb_walk, "there is no VP 3", true, "--cpu 3 80001000");
    const struct ended list = run(tlb_list, "there is no partition 3", false, "--partition 3");

    (void)state;
    EXPECT_EQ(text.status, COMMAND_INPUT);
    EXPECT_EQ(json.status, COMMAND_INPUT);
    EXPECT_EQ(list.status, COMMAND_INPUT);
    expect_text(&text, "there is no VP 3");
    expect_text(&json, "there is no VP 3");
    expect_text(&list, "there is no partition 3");
}

static void test_words_that_cannot_be_are_refused(void **state)
{
    static const char *const words[] = { "", "100000000", "x", "--cpu x 0", "--nothing 0" };

    (void)state;
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        const struct ended ended = run(tlb_walk, ENTRIES, false, words[i]);

        EXPECT_EQ(ended.status, COMMAND_USAGE);
    }
    EXPECT_EQ(run(tlb_list, ENTRIES, false, "0").status, COMMAND_USAGE);
}

/* --- all entries --- */

static void test_both_tlbs_are_listed_and_a_real_entry_names_the_guests_that_it_was_made_of(void **state)
{
    const struct ended ended = run(tlb_list, ENTRIES, false, "");

    (void)state;
    EXPECT_EQ(ended.status, COMMAND_OK);
    expect_text(&ended, "PID 3 0 0\n");
    expect_text(&ended, "TLB0 1.2 80001000   4K 002345000 ---  rw-   ---G-  0   7");
    expect_text(&ended, "TLB1 0   00000000  64M 000000000 rwx  rwx   -----  1   0 protected");
    expect_text(&ended, "TLB0 1.3  80001000   4K 00a345000 rw-  r--   --M--  1      1 TLB0 1.2");
    expect_text(&ended, "TLB1 4    00000000  64M 008000000 ---  r--   --M--  1      1 none");
}

static void test_entries_of_no_sense_do_no_harm(void **state)
{
    static const char *const answers[] = { "{\"virtual\":[],\"real\":{}}", "{\"virtual\":3}", "{", "[]" };

    (void)state;
    for (unsigned i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        EXPECT_EQ(run(tlb_list, answers[i], false, "").status, COMMAND_INPUT);
    }
    EXPECT_EQ(
        run(tlb_list, "{\"pid\":[null],\"virtual\":[1,{}],\"real\":[null,{\"bytes\":-1}]}", false, "").status,
        COMMAND_OK);
    EXPECT_EQ(run(tlb_walk, "{\"virtual\":[1,{}],\"real\":[null,{\"bytes\":-1}]}", true, "0").status,
              COMMAND_NO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guests_fill_a_tlb_where_the_technique_is_book_es),
        cmocka_unit_test(test_a_hypervisor_that_does_not_tell_its_guests_is_a_complaint),
        cmocka_unit_test(test_the_hypervisors_own_text_of_an_address_is_shown),
        cmocka_unit_test(test_an_address_that_the_guest_has_no_entry_for_is_a_no),
        cmocka_unit_test(test_as_a_document_an_address_has_the_entries_that_cover_it_and_no_others),
        cmocka_unit_test(test_what_there_is_not_is_said_in_the_hypervisors_words),
        cmocka_unit_test(test_words_that_cannot_be_are_refused),
        cmocka_unit_test(test_both_tlbs_are_listed_and_a_real_entry_names_the_guests_that_it_was_made_of),
        cmocka_unit_test(test_entries_of_no_sense_do_no_harm),
    };

    return RUN_TESTS(tests);
}
