/* SPDX-License-Identifier: MIT */
/*
 * Regular expressions: a thin C face of RE2, which matches in time linear in the text. This folder
 * is the only includer of re2.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sl_cel_regex;
struct sl_cel_regex_cache;

enum { SL_CEL_REGEX_GROUPS = 10 };

/* A group of a match; start < 0: it took no part. */
struct sl_cel_regex_group {
    int32_t start;
    int32_t end;
};

/*
 * Compile. NULL with the reason in reterr[size] (terminated), or with reterr[0] == 0 for no memory.
 */
struct sl_cel_regex *sl_cel_regex_new(const uint8_t *pattern, size_t pattern_size, char *reterr,
                                      size_t reterr_size);
struct sl_cel_regex *sl_cel_regex_free(struct sl_cel_regex *regex);

/* True if it matches somewhere in the text. */
bool sl_cel_regex_match(const struct sl_cel_regex *regex, const uint8_t *text, size_t size);

/* The same by RE2 alone, and whether an automaton (automaton.h) takes its place: for tests. */
bool sl_cel_regex_match_large(const struct sl_cel_regex *regex, const uint8_t *text, size_t size);
bool sl_cel_regex_is_small(const struct sl_cel_regex *regex);

/* The first match at or behind `from`, with up to `count` groups (0: the whole). */
bool sl_cel_regex_find(const struct sl_cel_regex *regex, const uint8_t *text, size_t size,
                       size_t from, struct sl_cel_regex_group *groups, uint32_t count);

/* Groups in parentheses. */
uint32_t sl_cel_regex_groups(const struct sl_cel_regex *regex);

/* Size of the compiled program: the cost of one byte of text. */
uint32_t sl_cel_regex_size(const struct sl_cel_regex *regex);

/* The latest expressions that came from data, of one thread. */
struct sl_cel_regex_cache *sl_cel_regex_cache_new(void);
struct sl_cel_regex_cache *sl_cel_regex_cache_free(struct sl_cel_regex_cache *cache);

/* Find or compile; borrowed until the next call. NULL as above. *ret_new: it was compiled now. */
const struct sl_cel_regex *sl_cel_regex_cache_get(struct sl_cel_regex_cache *cache,
                                                  const uint8_t *pattern, size_t pattern_size,
                                                  bool *ret_new, char *reterr, size_t reterr_size);

#ifdef __cplusplus
}
#endif
