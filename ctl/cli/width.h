/* SPDX-License-Identifier: MIT */
/* How much room texts take on a terminal. */
#pragma once

#include <stddef.h>

#include "core/base/slice.h"

/*
 * Places that a UTF-8 text takes: two for each character of the East Asian scripts and for most
 * pictures, none for marks that stand on the one before, one for everything else.
 */
size_t cli_text_width(const char *text);

/* Bytes of the longest beginning that takes at most `places`; characters stay whole. */
size_t cli_text_fit(const char *text, size_t places);

/*
 * Copy a text that may hold anything into `buf`, zero-terminated and cut to whole characters: what
 * a terminal might take for a command (U+0000 to U+001F, U+007F to U+009F) and what is not UTF-8
 * become question marks.
 */
void cli_text_clean(struct sl_slice text, char *buf, size_t buf_size);

/*
 * Copy a clean text into `buf`, cut and filled with spaces to exactly `places`. Room for four bytes a
 * place and a zero byte.
 */
const char *cli_text_pad(const char *text, size_t places, char *buf, size_t buf_size);
