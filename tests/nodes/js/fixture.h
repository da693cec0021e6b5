/* SPDX-License-Identifier: MIT */
/*
 * A shard's worth of one language for tests: compile, attach, run, and results as text, for
 * comparison:
 *
 *     null true 1 1.5 "text" [1, 2] {"a": 1} b'00ff' t'0.5' error(code, "message", cause, data, status)
 */
#pragma once

#include <stdbool.h>

#include "nodes/script/engine.h"

struct fixture {
    const struct sl_engine *engine;
    struct sl_mem *mem;
    void *shard_state;
    struct sl_clock *clock;
    uint32_t timeout_ms;
    size_t memory_max;
    bool allow_eval;
    struct sl_value env;
    struct sl_diag diag; /* of the last compile or attach that failed */
    char text[65536];    /* of the last result */
};

void fixture_init(struct fixture *fixture, const struct sl_engine *engine);
/* False if a value was not given back. */
bool fixture_fini(struct fixture *fixture);

/* A script that was compiled and attached; script == NULL with fixture->diag set. */
struct attached {
    struct sl_script *script;
    void *instance;
};

struct attached fixture_attach(struct fixture *fixture, const char *code);
void fixture_detach(struct fixture *fixture, struct attached *attached);

/* One call; the result has one count for the caller. Takes the count of `input`. */
struct sl_value fixture_call(struct fixture *fixture, struct attached *attached,
                             struct sl_value input);

/* Compile, attach, call once, free; the result as text, or "diag: …". Borrowed until the next. */
const char *fixture_run(struct fixture *fixture, const char *code, struct sl_value input);

/* Call an attached script; the result as text. */
const char *fixture_call_text(struct fixture *fixture, struct attached *attached,
                              struct sl_value input);

void value_print(struct sl_value value, char *buf, size_t buf_size);
