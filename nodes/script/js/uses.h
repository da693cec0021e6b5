/* SPDX-License-Identifier: MIT */
/*
 * Which keys of its input a script can look at, read off its text.
 *
 *     export default (self) => self.body.count + self.params.n      uses body, params
 *     export default () => 1                                        uses nothing
 *     export default (self) => ({...self})                          unknown: all of it
 *
 * Where it is known, nothing else of a request is converted, and a body that no script reads is not
 * even decoded. The rule is about text, not about meaning, so that it can only err towards `all`:
 * wherever the parameter's name stands in the module, in strings and comments too, a key must follow.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/slice.h"

enum { JS_USES_MAX = 16, JS_USES_KEY_SIZE_MAX = 64 };

struct js_uses {
    bool known;
    uint32_t count;
    struct {
        char text[JS_USES_KEY_SIZE_MAX]; /* zero-terminated; [A-Za-z0-9_$]+ */
        uint16_t size;
        uint16_t hash; /* sl_hash16 */
    } keys[JS_USES_MAX];
};

/*
 * body     the module as the compiler prints it
 * name     of the function that it exports by default
 * returns  in *ret_uses; `known` is false where anything is unclear
 * thread   any
 */
void js_uses_find(struct sl_slice body, struct sl_slice name, struct js_uses *ret_uses);
