/*
 * What is taken for a document of statistics or measurements, and what is not.
 */
#include "tests/unit/test.h"

#include <string.h>

#include "tools/report/document.h"

static struct complaint complaint;

static bool is_taken(const char *text, enum document_kind *kind)
{
    struct document document;
    const bool taken = document_parse("x.json", text, strlen(text), &document, &complaint);

    if (taken) {
        *kind = document.kind;
        document_close(&document);
    }
    return taken;
}

static void expect_kind(const char *text, enum document_kind kind)
{
    enum document_kind found = kind;

    if (!is_taken(text, &found)) {
        fail_msg("%s: %s", text, complaint.text);
    }
    EXPECT_EQ(found, kind);
}

/* It is refused, by an input's status, with the document's name and @reason. */
static void expect_refused(const char *text, const char *reason)
{
    enum document_kind kind;

    if (is_taken(text, &kind)) {
        fail_msg("taken for kind %d: %s", (int)kind, text);
    }
    EXPECT(!complaint.usage);
    if (strncmp(complaint.text, "x.json: ", 8) != 0 || !strstr(complaint.text, reason)) {
        fail_msg("'%s' is not in: %s", reason, complaint.text);
    }
}

static void test_statistics_simulations_and_measurements_are_documents(void **state)
{
    (void)state;
    expect_kind("{\"vmmu\": 1, \"outcome\": {\"kind\": \"stopped\"}}", DOCUMENT_STATS);
    expect_kind("{\"vmmu_sim\": 1, \"processes\": 1, \"runs\": [{\"label\": \"native\", \"exits\": 3}]}",
                DOCUMENT_ROWS);
    expect_kind("[{\"technique\": \"tlb\", \"workload\": \"random\", \"nanoseconds\": 12.5},"
                " {\"host\": \"amd\", \"technique\": \"shadow\", \"workload\": \"fork\", \"exits\": 7}]",
                DOCUMENT_ROWS);
}

/* Rows with numbers, as measurements have, but addresses and tables in them. */
static void test_answers_of_other_commands_are_no_statistics(void **state)
{
    static const char *const documents[] = {
        "{\"vmmu_check\": 1, \"cr3\": \"0x1000\", \"pat\": \"0x7040600070406\", \"findings\": "
        "[{\"severity\": "
        "\"error\", \"kind\": \"reserved\", \"address\": \"0x1000\", \"bytes\": 4096, \"text\": \"a\"}], "
        "\"errors\": 1}",
        "{\"vmmu_maps\": 1, \"cr3\": \"0x1000\", \"ranges\": [{\"kind\": \"page\", \"start\": \"0x1000\", "
        "\"bytes\": 4096}], \"range_count\": 1}",
        "{\"va\": \"0x1000\", \"paging\": \"4-level\", \"references\": 4, \"entries\": [{\"reference\": 1, "
        "\"stage\": \"guest\", \"level\": 4}]}",
        "[{\"va\": \"0x1000\", \"references\": 4}, {\"va\": \"0x2000\", \"references\": 4}]",
        "{\"vmmu_explain\": 1, \"accesses\": [{\"kind\": \"read\", \"linear\": \"0x1000\", \"bytes\": 8}]}",
        "{\"vmmu_report\": 1, \"title\": \"a\", \"sections\": [{\"title\": \"b\", \"rows\": []}]}",
        "{\"vmmu_state\": 1, \"backend\": \"svm\", \"partitions\": [{\"index\": 0, \"technique\": "
        "\"nested\"}]}",
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
        expect_refused(documents[i], "neither statistics of the hypervisor nor measurements");
    }
}

static void test_each_row_of_measurements_tells_technique_and_workload(void **state)
{
    static const char *const rows[] = {
        "[]",
        "[1, 2]",
        "[{\"technique\": \"tlb\", \"nanoseconds\": 12.5}]",
        "[{\"workload\": \"random\", \"nanoseconds\": 12.5}]",
        "[{\"technique\": 1, \"workload\": \"random\"}]",
        "[{\"technique\": \"tlb\", \"workload\": \"random\", \"nanoseconds\": 12.5}, {\"nanoseconds\": 1}]",
        "[{\"technique\": \"tlb\", \"workload\": \"random\", \"nanoseconds\": 12.5}, null]",
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect_refused(rows[i], "neither statistics of the hypervisor nor measurements");
    }
}

static void test_other_versions_and_halves_are_told(void **state)
{
    (void)state;
    expect_refused("{\"vmmu\": 2, \"outcome\": {}}", "statistics of version 2, and 1 is what is known here");
    expect_refused("{\"vmmu\": 1}", "do not tell the outcome");
    expect_refused("{\"vmmu_sim\": 7, \"runs\": [{\"exits\": 1}]}", "a simulation of version 7, and 1 is");
    expect_refused("{\"vmmu_sim\": 1}", "a simulation without runs");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statistics_simulations_and_measurements_are_documents),
        cmocka_unit_test(test_answers_of_other_commands_are_no_statistics),
        cmocka_unit_test(test_each_row_of_measurements_tells_technique_and_workload),
        cmocka_unit_test(test_other_versions_and_halves_are_told),
    };

    return RUN_TESTS(tests);
}
