/* SPDX-License-Identifier: MIT */
/* Merge patches. Source: RFC 7396. */
#pragma once

#include "codecs/flat/flat.h"

/*
 * Apply `patch` to `target`: keys of the patch replace, null removes, maps merge at any depth.
 *
 * ret_value  one count (heap); may refer to both
 * returns    0, -ENOMEM, -E2BIG
 */
int sl_patch_apply(struct sl_value target, struct sl_value patch, struct sl_value *ret_value);
