/* SPDX-License-Identifier: MIT */
/* Values and types as files of cases write them: {"int64_value": "5"}, {"primitive": "INT64"}. */
#pragma once

#include <stdbool.h>

#include "nodes/script/cel/eval.h"

/* Read a value; containers are made in eval's arena. False: no value that exists here. */
bool sl_cel_case_value(struct sl_cel_eval *eval, struct sl_value json, struct sl_cel_val *ret);

/* Read a type into `arena`; NULL: no type that exists here. `params` collects names of variables. */
struct sl_cel_case_params {
    struct sl_slice names[16];
    uint32_t count;
};
const struct sl_cel_type *sl_cel_case_type(struct sl_cel_arena *arena, struct sl_value json,
                                           struct sl_cel_case_params *params);

/* The same value of the same kind: 1 is not 1u; NaN is NaN; maps without order. */
bool sl_cel_case_same(struct sl_cel_eval *eval, const struct sl_cel_val *a,
                      const struct sl_cel_val *b, uint32_t depth);
