/* SPDX-License-Identifier: MIT */
/* From the compiler's CommonJS output to the factory that a realm evaluates. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/slice.h"
#include "nodes/script/js/uses.h"

enum js_wrap_result {
    JS_WRAP_NO_DEFAULT = 1, /* nothing is exported */
    JS_WRAP_IMPORTS = 2,    /* another module is imported; *ret_line says where in `output` */
};

/*
 * Wrap `output` (without its source map line) as
 *
 *     (function(){"use strict";   helpers of the compiler, evaluated once
 *     return function(env){       the module, run for each call
 *     …                           gives the default export
 *     }})()
 *
 * in such a way that line n of `output` is line n + *ret_lines_before of the result.
 *
 * ret_code  zero-terminated, freed by the caller
 * ret_uses  what the function looks at of its input
 * returns   0, -ENOMEM, or a js_wrap_result
 */
int js_wrap(struct sl_slice source, struct sl_slice output, char **ret_code,
            uint32_t *ret_lines_before, uint32_t *ret_line, struct js_uses *ret_uses);
