/* SPDX-License-Identifier: MIT */
/* One thread with CEL: compile an expression as a node does, run it on JSON, compare as JSON. */
#pragma once

#include "codecs/flat/flat_fast.h"
#include "nodes/script/cel/cel.h"

struct fixture {
    void *shard;
    struct sl_mem *mem;
    struct sl_script_source source; /* used by cel_open */
    struct sl_diag diag;            /* of the last compile */
};

int cel_setup(void **state);
int cel_teardown(void **state);

/* A value of JSON text; fails the test if it is none. */
struct sl_value cel_json(struct fixture *fix, const char *json);

/* Compile `code`; NULL with fix->diag set. */
struct sl_script *cel_open(struct fixture *fix, const char *code);
void cel_close(struct sl_script *script);

/* Run `code` with `self` as JSON text (or NULL); the result has one count. */
struct sl_value cel_eval(struct fixture *fix, const char *code, const char *self);

/* The result of `code` written as JSON is `expected`. */
void cel_expect(struct fixture *fix, const char *code, const char *self, const char *expected);

/* `code` fails at run time with this code and a message that begins with `message`. */
void cel_expect_error(struct fixture *fix, const char *code, const char *self,
                      const char *error_code, const char *message);

/* `code` is refused when it is compiled, with this text in the message. */
void cel_expect_refused(struct fixture *fix, const char *code, const char *text);
