/* SPDX-License-Identifier: MIT */
/* string.format(list): cel-spec, doc/extensions/strings.md. */
#pragma once

#include "nodes/script/cel/eval.h"

/* The function itself: args are the format and the list of its arguments. */
bool sl_cel_call_format(struct sl_cel_eval *eval, const struct sl_cel_val *const *args,
                        struct sl_cel_val *ret);
