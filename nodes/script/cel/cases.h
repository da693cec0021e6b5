/* SPDX-License-Identifier: MIT */
/*
 * The runner of files of test cases: JSON with sections of tests, in the shape of the public CEL
 * conformance tests (field names of SimpleTest in cel-spec's simple.proto). A line per failure says
 * what was expected and what came. Control plane: it reads a file and allocates freely.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

struct sl_cel_cases_counts {
    uint32_t passed;
    uint32_t failed;
    uint32_t skipped; /* marked needs_proto */
};

/*
 * Run all cases of a file.
 *
 * out         gets the failures and, as its last line, "N passed, M failed, K skipped"
 * ret_counts  may be NULL
 * returns     0, also when cases failed; -EINVAL: the file is no such JSON (said on out); -errno of
 *             reading; -ENOMEM
 */
int sl_cel_cases_run(FILE *out, const char *path, struct sl_cel_cases_counts *ret_counts);
