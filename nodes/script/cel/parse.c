/* SPDX-License-Identifier: MIT */
/*
 * The parser of CEL (cel-spec, langdef.md, "Syntax"): one function per level of precedence, in the
 * order of the grammar. Nesting is counted and refused beyond SL_CEL_DEPTH_MAX, so the recursion
 * is bounded whatever the text is.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "codecs/text/number.h"
#include "core/base/assertion.h"
#include "core/base/limit.h"
#include "nodes/script/cel/ast.h"
#include "nodes/script/cel/lex.h"

struct parser {
    struct sl_cel_parse *parse;
    struct sl_cel_lex lex;
    struct sl_cel_token tok; /* not consumed yet */
    uint32_t depth;          /* of nesting in the text */
};

/* Children being collected. */
struct items {
    struct sl_cel_node **nodes;
    uint8_t *opt;
    uint32_t count;
    uint32_t cap;
    bool any_opt;
};

static struct sl_cel_node *parse_expr(struct parser *parser);

void *sl_cel_parse_fail(struct sl_cel_parse *parse, uint32_t offset, const char *fmt, ...)
{
    if (parse->error != 0) return NULL;
    parse->error = -EINVAL;
    parse->error_offset = offset;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(parse->error_text, sizeof(parse->error_text), fmt, args);
    va_end(args);
    return NULL;
}

static void *no_memory(struct sl_cel_parse *parse)
{
    if (parse->error == 0) parse->error = -ENOMEM;
    return NULL;
}

struct sl_cel_node *sl_cel_node_new(struct sl_cel_parse *parse, enum sl_cel_node_kind kind,
                                    uint32_t offset, uint32_t count)
{
    if (parse->error != 0) return NULL;
    if (++parse->nodes_count > SL_CEL_NODES_MAX) {
        return sl_cel_parse_fail(parse, offset, "the expression has more than %d parts",
                                 SL_CEL_NODES_MAX);
    }
    struct sl_cel_node *node = sl_cel_arena_zero(parse->arena, sizeof(*node));
    if (node == NULL) return no_memory(parse);
    node->kind = (uint8_t)kind;
    node->offset = offset;
    node->count = count;
    node->depth = 1;
    if (count > 0) node->args = sl_cel_arena_zero(parse->arena, count * sizeof(*node->args));
    if (count > 0 && node->args == NULL) return no_memory(parse);
    return node;
}

struct sl_cel_node *sl_cel_node_close(struct sl_cel_parse *parse, struct sl_cel_node *node)
{
    if (parse->error != 0 || node == NULL) return NULL;
    uint32_t depth = 0;
    for (uint32_t i = 0; i < node->count; i++) {
        if (node->args[i]->depth > depth) depth = node->args[i]->depth;
    }
    node->depth = depth + 1;
    if (node->depth > SL_CEL_DEPTH_MAX) {
        return sl_cel_parse_fail(parse, node->offset, "the expression is nested more than %d deep",
                                 SL_CEL_DEPTH_MAX);
    }
    return node;
}

/* ------------------------------------------------------------------------------------------ */
/* Tokens                                                                                       */

static void advance(struct parser *parser)
{
    parser->tok = sl_cel_lex_next(&parser->lex);
    if (parser->tok.kind != SL_CEL_TOK_ERROR) return;
    if (parser->lex.no_memory) {
        (void)no_memory(parser->parse);
    } else {
        (void)sl_cel_parse_fail(parser->parse, parser->tok.offset, "%s", parser->lex.error);
    }
}

static bool is_op(const struct parser *parser, uint32_t op)
{
    return parser->tok.kind == SL_CEL_TOK_OPERATOR && parser->tok.op == op;
}

static bool accept(struct parser *parser, uint32_t op)
{
    if (!is_op(parser, op)) return false;
    advance(parser);
    return true;
}

static void *unexpected(struct parser *parser, const char *expected)
{
    if (parser->tok.kind == SL_CEL_TOK_END) {
        return sl_cel_parse_fail(parser->parse, parser->tok.offset,
                                 "the expression ends where %s was expected", expected);
    }
    struct sl_slice text = parser->tok.text;
    if (text.size > 40) text.size = 40;
    return sl_cel_parse_fail(parser->parse, parser->tok.offset, "unexpected '%.*s', expected %s",
                             SL_SLICE_FMT(text), expected);
}

static bool expect(struct parser *parser, uint32_t op, const char *expected)
{
    if (accept(parser, op)) return true;
    (void)unexpected(parser, expected);
    return false;
}

static bool items_push(struct parser *parser, struct items *items, struct sl_cel_node *node)
{
    if (node == NULL) return false;
    if (items->count == items->cap) {
        uint32_t cap = items->cap ? items->cap * 2 : 4;
        struct sl_cel_arena *arena = parser->parse->arena;
        struct sl_cel_node **nodes = sl_cel_arena_take(arena, cap * sizeof(*nodes));
        uint8_t *opt = sl_cel_arena_zero(arena, cap);
        if (nodes == NULL || opt == NULL) {
            (void)no_memory(parser->parse);
            return false;
        }
        if (items->count > 0) {
            memcpy(nodes, items->nodes, items->count * sizeof(*nodes));
            memcpy(opt, items->opt, items->count);
        }
        items->nodes = nodes;
        items->opt = opt;
        items->cap = cap;
    }
    items->nodes[items->count++] = node;
    return true;
}

static struct sl_cel_node *with_items(struct parser *parser, enum sl_cel_node_kind kind,
                                      uint32_t offset, const struct items *items)
{
    struct sl_cel_node *node = sl_cel_node_new(parser->parse, kind, offset, 0);
    if (node == NULL) return NULL;
    node->args = items->nodes;
    node->count = items->count;
    if (items->any_opt) node->opt = items->opt;
    return sl_cel_node_close(parser->parse, node);
}

/* A call of an operator's function. */
static struct sl_cel_node *call_op(struct parser *parser, const char *name, uint32_t offset,
                                   struct sl_cel_node *a, struct sl_cel_node *b)
{
    if (a == NULL) return NULL;
    struct sl_cel_node *node =
        sl_cel_node_new(parser->parse, SL_CEL_N_CALL, offset, b != NULL ? 2 : 1);
    if (node == NULL) return NULL;
    node->name = sl_slice_from_str(name);
    node->args[0] = a;
    if (b != NULL) node->args[1] = b;
    return sl_cel_node_close(parser->parse, node);
}

/* ------------------------------------------------------------------------------------------ */
/* Literals                                                                                     */

static struct sl_cel_node *literal(struct parser *parser, uint32_t offset, struct sl_cel_val value)
{
    struct sl_cel_node *node = sl_cel_node_new(parser->parse, SL_CEL_N_LITERAL, offset, 0);
    if (node != NULL) node->literal = value;
    return node;
}

/* Digits of a token; false if they are no 64-bit number. */
static bool read_digits(struct sl_slice text, uint64_t *ret_value)
{
    uint64_t base = 10;
    size_t at = 0;
    if (text.size > 2 && (text.data[1] | 0x20) == 'x') {
        base = 16;
        at = 2;
    }
    uint64_t value = 0;
    for (; at < text.size; at++) {
        uint8_t c = text.data[at];
        uint64_t digit = c <= '9' ? (uint64_t)(c - '0') : (uint64_t)((c | 0x20) - 'a' + 10);
        if (__builtin_mul_overflow(value, base, &value)) return false;
        if (__builtin_add_overflow(value, digit, &value)) return false;
    }
    *ret_value = value;
    return true;
}

static struct sl_cel_node *parse_float(struct parser *parser, struct sl_slice text, bool negative)
{
    double value = sl_text_float_read((const char *)text.data, text.size);
    if (value > 1.7976931348623157e308) {
        return sl_cel_parse_fail(parser->parse, parser->tok.offset,
                                 "the number is too large for a double");
    }
    return literal(parser, parser->tok.offset, sl_cel_double(negative ? -value : value));
}

static struct sl_cel_node *parse_number(struct parser *parser, bool negative)
{
    struct sl_cel_token tok = parser->tok;
    struct sl_cel_node *node;
    uint64_t value = 0;
    if (tok.kind == SL_CEL_TOK_FLOAT) {
        node = parse_float(parser, tok.text, negative);
    } else if (!read_digits(tok.text, &value)) {
        return sl_cel_parse_fail(parser->parse, tok.offset, "the number does not fit 64 bits");
    } else if (tok.kind == SL_CEL_TOK_UINT) {
        if (negative) {
            return sl_cel_parse_fail(parser->parse, tok.offset, "a uint has no sign");
        }
        node = literal(parser, tok.offset, sl_cel_uint(value));
    } else {
        if (value > (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
            return sl_cel_parse_fail(parser->parse, tok.offset, "the number does not fit an int");
        }
        int64_t number = (int64_t)(negative ? 0 - value : value);
        node = literal(parser, tok.offset, sl_cel_int(number));
    }
    advance(parser);
    return node;
}

static struct sl_cel_node *parse_constant(struct parser *parser)
{
    struct sl_cel_token tok = parser->tok;
    struct sl_cel_val value = sl_cel_null();
    if (tok.kind == SL_CEL_TOK_STRING || tok.kind == SL_CEL_TOK_BYTES) {
        value = sl_cel_string(tok.text.data, tok.text.size, SL_CEL_STATIC);
        if (tok.kind == SL_CEL_TOK_BYTES) value.kind = SL_CEL_BYTES;
    } else if (tok.kind != SL_CEL_TOK_NULL) {
        value = sl_cel_bool(tok.kind == SL_CEL_TOK_TRUE);
    }
    struct sl_cel_node *node = literal(parser, tok.offset, value);
    advance(parser);
    return node;
}

/* ------------------------------------------------------------------------------------------ */
/* Primary expressions                                                                          */

/* Expressions until `close`, which is consumed. Returns false on error. */
static bool parse_items(struct parser *parser, uint32_t close, bool optional, bool trailing,
                        struct items *items)
{
    while (!is_op(parser, close)) {
        bool opt = optional && accept(parser, '?');
        if (!items_push(parser, items, parse_expr(parser))) return false;
        items->opt[items->count - 1] = opt;
        items->any_opt |= opt;
        if (!accept(parser, ',')) break;
        if (!trailing && is_op(parser, close)) {
            (void)unexpected(parser, "an expression");
            return false;
        }
    }
    return expect(parser, close, close == ')' ? "',' or ')'" : "',' or ']'");
}

static struct sl_cel_node *parse_list(struct parser *parser)
{
    struct items items = {0};
    uint32_t offset = parser->tok.offset;
    advance(parser);
    if (!parse_items(parser, ']', true, true, &items)) return NULL;
    return with_items(parser, SL_CEL_N_LIST, offset, &items);
}

static struct sl_cel_node *parse_map(struct parser *parser)
{
    struct items items = {0};
    struct items opts = {0};
    uint32_t offset = parser->tok.offset;
    advance(parser);
    while (!is_op(parser, '}')) {
        bool opt = accept(parser, '?');
        struct sl_cel_node *key = parse_expr(parser);
        if (!items_push(parser, &items, key) || !items_push(parser, &opts, key)) return NULL;
        opts.opt[opts.count - 1] = opt;
        opts.any_opt |= opt;
        if (!expect(parser, ':', "':'")) return NULL;
        if (!items_push(parser, &items, parse_expr(parser))) return NULL;
        if (!accept(parser, ',')) break;
    }
    if (!expect(parser, '}', "',' or '}'")) return NULL;
    items.opt = opts.opt;
    items.any_opt = opts.any_opt;
    return with_items(parser, SL_CEL_N_MAP, offset, &items);
}

/* Behind `Name.Of.Message`: the fields in braces. */
static struct sl_cel_node *parse_struct(struct parser *parser, struct sl_cel_node *name)
{
    struct items items = {0};
    advance(parser);
    while (!is_op(parser, '}')) {
        (void)accept(parser, '?');
        if (parser->tok.kind != SL_CEL_TOK_IDENT && parser->tok.kind != SL_CEL_TOK_QUOTED_IDENT) {
            return unexpected(parser, "a field name");
        }
        advance(parser);
        if (!expect(parser, ':', "':'")) return NULL;
        if (!items_push(parser, &items, parse_expr(parser))) return NULL;
        if (!accept(parser, ',')) break;
    }
    if (!expect(parser, '}', "',' or '}'")) return NULL;
    struct sl_cel_node *node = with_items(parser, SL_CEL_N_STRUCT, name->offset, &items);
    if (node != NULL) node->name = name->name;
    return node;
}

static struct sl_cel_node *parse_call(struct parser *parser, struct sl_slice name, uint32_t offset,
                                      struct sl_cel_node *receiver, bool root)
{
    struct items items = {0};
    if (receiver != NULL && !items_push(parser, &items, receiver)) return NULL;
    advance(parser);
    if (!parse_items(parser, ')', false, false, &items)) return NULL;
    struct sl_cel_node *node = with_items(parser, SL_CEL_N_CALL, offset, &items);
    if (node == NULL) return NULL;
    node->name = name;
    node->flags =
        (uint8_t)((receiver != NULL ? SL_CEL_NF_MEMBER : 0) | (root ? SL_CEL_NF_ROOT : 0));
    if (!parser->parse->macros || root) return node;
    return sl_cel_macro_expand(parser->parse, node);
}

static struct sl_cel_node *parse_name(struct parser *parser)
{
    uint32_t offset = parser->tok.offset;
    bool root = accept(parser, '.');
    struct sl_slice name = parser->tok.text;
    if (parser->tok.kind != SL_CEL_TOK_IDENT) return unexpected(parser, "a name");
    uint32_t name_offset = parser->tok.offset;
    advance(parser);
    if (sl_cel_is_reserved(name) && !is_op(parser, '{') && !is_op(parser, '.')) {
        return sl_cel_parse_fail(parser->parse, name_offset, "'%.*s' is a reserved word",
                                 SL_SLICE_FMT(name));
    }
    if (is_op(parser, '(')) return parse_call(parser, name, offset, NULL, root);
    struct sl_cel_node *node = sl_cel_node_new(parser->parse, SL_CEL_N_IDENT, offset, 0);
    if (node == NULL) return NULL;
    node->name = name;
    if (root) node->flags |= SL_CEL_NF_ROOT;
    return node;
}

static struct sl_cel_node *parse_primary(struct parser *parser)
{
    switch (parser->tok.kind) {
    case SL_CEL_TOK_INT:
    case SL_CEL_TOK_UINT:
    case SL_CEL_TOK_FLOAT: return parse_number(parser, false);
    case SL_CEL_TOK_STRING:
    case SL_CEL_TOK_BYTES:
    case SL_CEL_TOK_TRUE:
    case SL_CEL_TOK_FALSE:
    case SL_CEL_TOK_NULL: return parse_constant(parser);
    case SL_CEL_TOK_IDENT: return parse_name(parser);
    default: break;
    }
    if (is_op(parser, '.')) return parse_name(parser);
    if (is_op(parser, '[')) return parse_list(parser);
    if (is_op(parser, '{')) return parse_map(parser);
    if (!accept(parser, '(')) return unexpected(parser, "an expression");
    struct sl_cel_node *node = parse_expr(parser);
    if (node == NULL || !expect(parser, ')', "')'")) return NULL;
    return node;
}

/* ------------------------------------------------------------------------------------------ */
/* Members: .name .name(…) .?name [index] [?index]                                              */

/* True if the node is a name or a chain of selected names. */
static bool is_name(const struct sl_cel_node *node)
{
    while (node->kind == SL_CEL_N_SELECT && node->flags == 0) node = node->args[0];
    return node->kind == SL_CEL_N_IDENT;
}

static struct sl_cel_node *parse_dot(struct parser *parser, struct sl_cel_node *operand)
{
    advance(parser);
    bool opt = accept(parser, '?');
    struct sl_cel_token tok = parser->tok;
    if (tok.kind != SL_CEL_TOK_IDENT && tok.kind != SL_CEL_TOK_QUOTED_IDENT) {
        return unexpected(parser, "a field name");
    }
    advance(parser);
    if (!opt && tok.kind == SL_CEL_TOK_IDENT && is_op(parser, '(')) {
        return parse_call(parser, tok.text, tok.offset, operand, false);
    }
    struct sl_cel_node *node = sl_cel_node_new(parser->parse, SL_CEL_N_SELECT, tok.offset, 1);
    if (node == NULL) return NULL;
    node->args[0] = operand;
    node->name = tok.text;
    if (opt) node->flags |= SL_CEL_NF_OPTIONAL;
    return sl_cel_node_close(parser->parse, node);
}

static struct sl_cel_node *parse_index(struct parser *parser, struct sl_cel_node *operand)
{
    uint32_t offset = parser->tok.offset;
    advance(parser);
    bool opt = accept(parser, '?');
    struct sl_cel_node *index = parse_expr(parser);
    if (index == NULL || !expect(parser, ']', "']'")) return NULL;
    return call_op(parser, opt ? "_[?_]" : "_[_]", offset, operand, index);
}

static struct sl_cel_node *parse_members(struct parser *parser, struct sl_cel_node *node)
{
    while (node != NULL) {
        if (is_op(parser, '.')) {
            node = parse_dot(parser, node);
        } else if (is_op(parser, '[')) {
            node = parse_index(parser, node);
        } else if (is_op(parser, '{') && is_name(node)) {
            node = parse_struct(parser, node);
        } else {
            return node;
        }
    }
    return NULL;
}

/* ------------------------------------------------------------------------------------------ */
/* Operators                                                                                    */

static struct sl_cel_node *parse_unary(struct parser *parser)
{
    uint32_t offset = parser->tok.offset;
    uint32_t op = is_op(parser, '!') ? '!' : is_op(parser, '-') ? '-' : 0;
    if (op == 0) return parse_members(parser, parse_primary(parser));
    uint32_t times = 0;
    while (accept(parser, op)) times++;
    enum sl_cel_token_kind kind = parser->tok.kind;
    struct sl_cel_node *node;
    if (op == '-' && (kind == SL_CEL_TOK_INT || kind == SL_CEL_TOK_FLOAT)) {
        node = parse_members(parser, parse_number(parser, true));
        times--;
    } else {
        node = parse_members(parser, parse_primary(parser));
    }
    if (times % 2 == 0) return node;
    return call_op(parser, op == '!' ? "!_" : "-_", offset, node, NULL);
}

static const char *binary_name(const struct parser *parser, int level)
{
    static const struct {
        uint32_t op;
        int level;
        const char *name;
    } table[] = {
        {'*', 2, "_*_"},
        {'/', 2, "_/_"},
        {'%', 2, "_%_"},
        {'+', 1, "_+_"},
        {'-', 1, "_-_"},
        {'<', 0, "_<_"},
        {'>', 0, "_>_"},
        {SL_CEL_OP2('<', '='), 0, "_<=_"},
        {SL_CEL_OP2('>', '='), 0, "_>=_"},
        {SL_CEL_OP2('=', '='), 0, "_==_"},
        {SL_CEL_OP2('!', '='), 0, "_!=_"},
    };
    if (parser->tok.kind == SL_CEL_TOK_IN && level == 0) return "@in";
    if (parser->tok.kind != SL_CEL_TOK_OPERATOR) return NULL;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (table[i].op == parser->tok.op && table[i].level == level) return table[i].name;
    }
    return NULL;
}

/* Relations (level 0), sums (1) and products (2): left to right. */
static struct sl_cel_node *parse_binary(struct parser *parser, int level)
{
    struct sl_cel_node *node = level == 2 ? parse_unary(parser) : parse_binary(parser, level + 1);
    for (;;) {
        const char *name = node != NULL ? binary_name(parser, level) : NULL;
        if (name == NULL) return node;
        uint32_t offset = parser->tok.offset;
        advance(parser);
        struct sl_cel_node *right =
            level == 2 ? parse_unary(parser) : parse_binary(parser, level + 1);
        if (right == NULL) return NULL;
        node = call_op(parser, name, offset, node, right);
    }
}

static struct sl_cel_node *parse_logic(struct parser *parser, bool is_or)
{
    uint32_t op = is_or ? SL_CEL_OP2('|', '|') : SL_CEL_OP2('&', '&');
    struct sl_cel_node *node = is_or ? parse_logic(parser, false) : parse_binary(parser, 0);
    if (node == NULL || !is_op(parser, op)) return node;
    struct items items = {0};
    uint32_t offset = parser->tok.offset;
    if (!items_push(parser, &items, node)) return NULL;
    while (accept(parser, op)) {
        struct sl_cel_node *next = is_or ? parse_logic(parser, false) : parse_binary(parser, 0);
        if (!items_push(parser, &items, next)) return NULL;
    }
    return with_items(parser, is_or ? SL_CEL_N_OR : SL_CEL_N_AND, offset, &items);
}

static struct sl_cel_node *parse_condition(struct parser *parser)
{
    struct sl_cel_node *test = parse_logic(parser, true);
    if (test == NULL || !is_op(parser, '?')) return test;
    uint32_t offset = parser->tok.offset;
    advance(parser);
    struct sl_cel_node *yes = parse_logic(parser, true);
    if (yes == NULL || !expect(parser, ':', "':'")) return NULL;
    struct sl_cel_node *no = parse_expr(parser);
    if (no == NULL) return NULL;
    struct sl_cel_node *node = sl_cel_node_new(parser->parse, SL_CEL_N_COND, offset, 3);
    if (node == NULL) return NULL;
    node->args[0] = test;
    node->args[1] = yes;
    node->args[2] = no;
    return sl_cel_node_close(parser->parse, node);
}

static struct sl_cel_node *parse_expr(struct parser *parser)
{
    if (parser->parse->error != 0) return NULL;
    if (parser->depth >= SL_CEL_DEPTH_MAX) {
        return sl_cel_parse_fail(parser->parse, parser->tok.offset,
                                 "the expression is nested more than %d deep", SL_CEL_DEPTH_MAX);
    }
    parser->depth++;
    struct sl_cel_node *node = parse_condition(parser);
    parser->depth--;
    return node;
}

struct sl_cel_node *sl_cel_parse(struct sl_cel_parse *parse)
{
    sl_assert(parse != NULL);
    sl_assert(parse->arena != NULL);
    if (parse->source.size > SL_SCRIPT_SOURCE_SIZE_MAX) {
        return sl_cel_parse_fail(parse, 0, "the expression has more than %d bytes",
                                 SL_SCRIPT_SOURCE_SIZE_MAX);
    }
    struct parser parser = {.parse = parse,
                            .lex = {.arena = parse->arena, .source = parse->source}};
    advance(&parser);
    struct sl_cel_node *node = parse_expr(&parser);
    if (node != NULL && parser.tok.kind != SL_CEL_TOK_END) {
        return unexpected(&parser, "the end of the expression");
    }
    return parse->error == 0 ? node : NULL;
}
