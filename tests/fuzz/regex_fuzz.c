/* SPDX-License-Identifier: MIT */
/* An expression, a newline, a text: the automaton of a small expression says what RE2 says. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "nodes/script/cel/regex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char error[200];
    const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
    if (end == NULL) return 0;
    size_t pattern_size = (size_t)(end - data), text_size = size - pattern_size - 1;
    struct sl_cel_regex *regex = sl_cel_regex_new(data, pattern_size, error, sizeof(error));
    if (regex == NULL) return 0;
    bool large = sl_cel_regex_match_large(regex, end + 1, text_size);
    if (sl_cel_regex_match(regex, end + 1, text_size) != large) abort();
    (void)sl_cel_regex_free(regex);
    return 0;
}
