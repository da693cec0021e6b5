/* SPDX-License-Identifier: MIT */
/*
 * Tokens of CEL (cel-spec, langdef.md, "Syntax"). The lexer borrows the source and makes nothing
 * but the bytes of a string with escapes, in the arena.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/slice.h"
#include "nodes/script/cel/arena.h"
#include "nodes/script/cel/value.h"

enum sl_cel_token_kind {
    SL_CEL_TOK_END,
    SL_CEL_TOK_ERROR, /* text of sl_cel_lex.error */
    SL_CEL_TOK_IDENT,
    SL_CEL_TOK_QUOTED_IDENT, /* `a-b`; text without the backquotes */
    SL_CEL_TOK_INT,          /* text: digits, decimal or 0x; the sign is not part of it */
    SL_CEL_TOK_UINT,         /* text without the u */
    SL_CEL_TOK_FLOAT,
    SL_CEL_TOK_STRING, /* text: contents, escapes done */
    SL_CEL_TOK_BYTES,
    SL_CEL_TOK_TRUE,
    SL_CEL_TOK_FALSE,
    SL_CEL_TOK_NULL,
    SL_CEL_TOK_IN,
    SL_CEL_TOK_OPERATOR, /* op: its characters, e.g. '<', or '<' | '=' << 8 */
};

#define SL_CEL_OP2(a, b) ((uint32_t)(a) | (uint32_t)(b) << 8)

struct sl_cel_token {
    enum sl_cel_token_kind kind;
    uint32_t op;
    uint32_t offset;
    struct sl_slice text;
};

struct sl_cel_lex {
    struct sl_cel_arena *arena;
    struct sl_slice source;
    uint32_t at;
    const char *error; /* static text */
    uint32_t error_offset;
    bool no_memory;
};

/* The next token. After an ERROR or END it is given again. */
struct sl_cel_token sl_cel_lex_next(struct sl_cel_lex *lex);

/* True for words that may be a field but not a variable or function: "as", "for" … */
bool sl_cel_is_reserved(struct sl_slice name);
