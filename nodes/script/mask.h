/* SPDX-License-Identifier: MIT */
/*
 * Secrets are never printed: what a script says about them (errors that it throws, lines that it
 * logs, faults while it loads) is searched for the values that are bound to its node, and they become
 * "***". What a script answers is its own business and passes as it is.
 *
 *     the secret  "s3cr3t-value"                 Error("bad token s3cr3t-value")
 *                                              → Error("bad token ***")
 *
 * Looked for are the text of a secret, of each string in it if it is a map or a list, whole numbers of
 * four digits or more, and each of those as it stands inside JSON (a key of several lines is printed
 * with "\n"). Values shorter than SL_MASK_SIZE_MIN bytes are not: hiding "1" would leave no text
 * readable. A script that takes a secret apart, or encodes it, is not followed.
 *
 * A mask is immutable and shared by all shards. Only nodes with secrets have one, so others pay
 * nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "codecs/flat/flat.h"
#include "core/base/diag.h"
#include "core/base/slice.h"

struct sl_mem;
struct sl_mask;

enum {
    SL_MASK_SIZE_MIN = 4,     /* bytes of a value that is hidden */
    SL_MASK_NEEDLES_MAX = 64, /* values of a node that are hidden */
};

/*
 * Make the mask for a List of bound secrets, copied.
 *
 * ret_mask  NULL where there is nothing to hide
 * returns   0; -ENOMEM; -E2BIG: more than SL_MASK_NEEDLES_MAX values
 * thread    control
 */
int sl_mask_new(struct sl_value secrets, struct sl_mask **ret_mask);

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

/* True if `text` holds a hidden value. */
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
