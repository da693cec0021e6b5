/* SPDX-License-Identifier: MIT */
/*
 * Secrets are never printed: what people see of values (errors of scripts, lines that they log,
 * reports, traces) is searched for the values that nodes are bound to, and they become "***". What
 * a workflow answers is its own business and passes as it is.
 *
 *     the secret  "s3cr3t-value"                 Error("bad token s3cr3t-value")
 *                                              → Error("bad token ***")
 *
 * Looked for are the text of a secret, of each string in it if it is a map or a list, and numbers as
 * JSON writes them; each also with white space around it cut off, as it stands inside JSON (a key of
 * several lines is printed with "\n"), and, from eight bytes on, as a URL or Base64 would have it.
 * Values shorter than SL_MASK_SIZE_MIN bytes are hidden only where they are the whole text: hiding
 * each "1" would leave nothing readable. Whoever takes a secret apart is not followed.
 *
 * A node has a mask of its own secrets for its scripts, a program one of all of its nodes' for
 * reports and traces. A mask is immutable and shared by all shards; where nothing is bound there is
 * none, and others pay nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codecs/flat/flat.h"
#include "core/base/diag.h"
#include "core/base/slice.h"

struct sl_mem;
struct sl_mask;

enum {
    SL_MASK_SIZE_MIN = 4,        /* bytes: shorter ones are hidden as whole texts only */
    SL_MASK_NEEDLES_MAX = 65536, /* texts that are looked for */
};

/*
 * Make the mask for values: array of `count`, none among them is fine. They are copied.
 *
 * ret_mask  NULL where there is nothing to hide
 * returns   0; -ENOMEM; -E2BIG: more than SL_MASK_NEEDLES_MAX texts, or too deep
 * thread    control
 */
int sl_mask_new(const struct sl_value *secrets, uint32_t count, struct sl_mask **ret_mask);

/* NULL is fine. The values are wiped. Returns NULL. */
struct sl_mask *sl_mask_free(struct sl_mask *mask);

/*
 * Replace what is hidden in `text`.
 *
 * buf      room for the result, cut to buf_size - 1 and zero-terminated
 * returns  bytes of the result
 * thread   any
 */
size_t sl_mask_text(const struct sl_mask *mask, struct sl_slice text, char *buf, size_t buf_size);

/* Bytes of the hidden value that begins at `at` in `text`, the longest; 0: none. */
size_t sl_mask_at(const struct sl_mask *mask, struct sl_slice text, size_t at);

/* True if all of `text` is one hidden value, however short. */
bool sl_mask_is_whole(const struct sl_mask *mask, struct sl_slice text);

/* True if `text` is or holds a hidden value. */
bool sl_mask_is_hit(const struct sl_mask *mask, struct sl_slice text);

/* The same for the text of a diagnostic. */
void sl_mask_diag(const struct sl_mask *mask, struct sl_diag *diag);

/*
 * An Error with every text in it masked: code, messages, causes, data and its keys.
 *
 * error    its count passes to the function
 * returns  `error` itself if nothing in it is hidden, else a new Error; one count for the caller;
 *          cell == NULL for no memory (then nothing of the error is left)
 */
struct sl_value sl_mask_error(const struct sl_mask *mask, struct sl_value error,
                              struct sl_mem *mem);
