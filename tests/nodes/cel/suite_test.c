/* SPDX-License-Identifier: MIT */
/*
 * The public CEL conformance tests, if they are there: each file named on the command line, or all
 * of $SLUICE_SUITES/cel. Only what needs protocol buffers is skipped.
 */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#include "nodes/script/cel/cases.h"

static int run_files(char **paths, size_t count)
{
    struct sl_cel_cases_counts all = {0};
    for (size_t i = 0; i < count; i++) {
        struct sl_cel_cases_counts counts = {0};
        int result = sl_cel_cases_run(stdout, paths[i], &counts);
        if (result != 0) {
            (void)printf("%s: cannot be run (%d)\n", paths[i], result);
            return 1;
        }
        all.passed += counts.passed;
        all.failed += counts.failed;
        all.skipped += counts.skipped;
    }
    (void)printf("all: %u passed, %u failed, %u skipped\n", all.passed, all.failed, all.skipped);
    return all.failed == 0 && all.passed > 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc > 1) return run_files(argv + 1, (size_t)argc - 1);
    const char *suites = getenv("SLUICE_SUITES");
    char pattern[1024];
    glob_t found;
    if (suites == NULL) {
        (void)printf("skipped: SLUICE_SUITES is not set\n");
        return 77;
    }
    (void)snprintf(pattern, sizeof(pattern), "%s/cel/*.json", suites);
    if (glob(pattern, 0, NULL, &found) != 0) {
        (void)printf("skipped: no files at %s\n", pattern);
        return 77;
    }
    int result = run_files(found.gl_pathv, found.gl_pathc);
    globfree(&found);
    return result;
}
