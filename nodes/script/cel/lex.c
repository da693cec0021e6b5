/* SPDX-License-Identifier: MIT */
/* The lexer of CEL; see lex.h. */
#include "nodes/script/cel/lex.h"

#include <string.h>

#include "codecs/text/utf8.h"
#include "core/base/assertion.h"

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static int hex_digit(uint8_t c)
{
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte `ahead` of the position, 0 behind the end. */
static uint8_t peek(const struct sl_cel_lex *lex, uint32_t ahead)
{
    size_t at = (size_t)lex->at + ahead;
    return at < lex->source.size ? lex->source.data[at] : 0;
}

static struct sl_cel_token fail(struct sl_cel_lex *lex, uint32_t offset, const char *text)
{
    if (lex->error == NULL) {
        lex->error = text;
        lex->error_offset = offset;
    }
    return (struct sl_cel_token){.kind = SL_CEL_TOK_ERROR, .offset = lex->error_offset};
}

/* A character that no token begins with; some are slips from other languages. */
static const char *unexpected(uint8_t c)
{
    switch (c) {
    case '=': return "unexpected '=': equal is ==";
    case '&': return "unexpected '&': and is &&";
    case '|': return "unexpected '|': or is ||";
    case ';': return "unexpected ';': an expression has no end sign";
    case '#': return "unexpected '#': a comment begins with //";
    default: return "unexpected character";
    }
}

static struct sl_cel_token token(const struct sl_cel_lex *lex, enum sl_cel_token_kind kind,
                                 uint32_t start, uint32_t end)
{
    struct sl_slice text = {lex->source.data + start, end - start};
    return (struct sl_cel_token){.kind = kind, .offset = start, .text = text};
}

static void skip_space(struct sl_cel_lex *lex)
{
    for (;;) {
        uint8_t c = peek(lex, 0);
        if (lex->at >= lex->source.size) return;
        if (c == '/' && peek(lex, 1) == '/') {
            while (lex->at < lex->source.size && peek(lex, 0) != '\n') lex->at++;
        } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f') {
            lex->at++;
        } else {
            return;
        }
    }
}

/* ------------------------------------------------------------------------------------------ */

static struct sl_cel_token lex_number(struct sl_cel_lex *lex)
{
    uint32_t start = lex->at;
    bool is_float = false;
    if (peek(lex, 0) == '0' && (peek(lex, 1) | 0x20) == 'x' && hex_digit(peek(lex, 2)) >= 0) {
        lex->at += 2;
        while (hex_digit(peek(lex, 0)) >= 0) lex->at++;
    } else {
        while (is_digit(peek(lex, 0))) lex->at++;
        if (peek(lex, 0) == '.' && is_digit(peek(lex, 1))) {
            is_float = true;
            lex->at++;
            while (is_digit(peek(lex, 0))) lex->at++;
        }
        uint32_t sign = peek(lex, 1) == '+' || peek(lex, 1) == '-' ? 1 : 0;
        if ((peek(lex, 0) | 0x20) == 'e' && is_digit(peek(lex, 1 + sign))) {
            is_float = true;
            lex->at += 1 + sign;
            while (is_digit(peek(lex, 0))) lex->at++;
        }
    }
    uint32_t end = lex->at;
    if (is_float) return token(lex, SL_CEL_TOK_FLOAT, start, end);
    if ((peek(lex, 0) | 0x20) != 'u') return token(lex, SL_CEL_TOK_INT, start, end);
    lex->at++;
    return token(lex, SL_CEL_TOK_UINT, start, end);
}

/* A string being read: where its contents go. */
struct unescape {
    struct sl_cel_lex *lex;
    uint8_t *out;
    size_t size;
    uint32_t at;  /* of the source */
    uint32_t end; /* of the contents */
    bool bytes;
};

static const char *put_code(struct unescape *un, uint32_t code, bool octet)
{
    if (un->bytes && octet) {
        un->out[un->size++] = (uint8_t)code;
        return NULL;
    }
    if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
        return "not a valid Unicode code point";
    }
    un->size += sl_utf8_put(code, un->out + un->size);
    return NULL;
}

static const char *put_hex(struct unescape *un, uint32_t digits)
{
    if (un->end - un->at < digits) return "too few digits in an escape sequence";
    uint32_t code = 0;
    for (uint32_t i = 0; i < digits; i++) {
        int digit = hex_digit(un->lex->source.data[un->at + i]);
        if (digit < 0) return "not a hexadecimal digit in an escape sequence";
        code = code << 4 | (uint32_t)digit;
    }
    un->at += digits;
    return put_code(un, code, digits == 2);
}

static const char *put_octal(struct unescape *un)
{
    uint32_t code = 0;
    un->at--;
    if (un->end - un->at < 3) return "an octal escape has three digits";
    for (uint32_t i = 0; i < 3; i++) {
        uint8_t c = un->lex->source.data[un->at + i];
        if (c < '0' || c > '7') return "an octal escape has three digits";
        code = code << 3 | (uint32_t)(c - '0');
    }
    un->at += 3;
    return put_code(un, code, true);
}

/* One escape sequence, behind its backslash. NULL, or what is wrong. */
static const char *put_escape(struct unescape *un)
{
    static const char from[] = "abfnrtv\\?\"'`";
    static const char to[] = "\a\b\f\n\r\t\v\\?\"'`";
    uint8_t c = un->lex->source.data[un->at++];
    const char *simple = c != 0 ? strchr(from, c) : NULL;
    if (simple != NULL) {
        un->out[un->size++] = (uint8_t)to[simple - from];
        return NULL;
    }
    if (c >= '0' && c <= '3') return put_octal(un);
    if (c == 'x' || c == 'X') return put_hex(un, 2);
    if (c == 'u' || c == 'U') {
        if (un->bytes) return "\\u and \\U are not allowed in bytes";
        return put_hex(un, c == 'u' ? 4 : 8);
    }
    return "unknown escape sequence";
}

static struct sl_cel_token finish_string(struct sl_cel_lex *lex, struct sl_cel_token made, bool raw)
{
    struct sl_slice text = made.text;
    if (made.kind == SL_CEL_TOK_STRING && !sl_utf8_is_valid(text.data, text.size)) {
        return fail(lex, made.offset, "a string must be valid UTF-8");
    }
    if (raw || text.size == 0 || memchr(text.data, '\\', text.size) == NULL) return made;
    struct unescape un = {.lex = lex, .bytes = made.kind == SL_CEL_TOK_BYTES};
    un.at = (uint32_t)(text.data - lex->source.data);
    un.end = un.at + (uint32_t)text.size;
    un.out = sl_cel_arena_take(lex->arena, text.size + 4);
    if (un.out == NULL) {
        lex->no_memory = true;
        return fail(lex, made.offset, "no memory");
    }
    while (un.at < un.end) {
        uint8_t c = lex->source.data[un.at++];
        if (c != '\\') {
            un.out[un.size++] = c;
            continue;
        }
        uint32_t offset = un.at - 1;
        const char *wrong = put_escape(&un);
        if (wrong != NULL) return fail(lex, offset, wrong);
    }
    made.text = (struct sl_slice){un.out, un.size};
    return made;
}

/* A string whose opening quote is `ahead` bytes away, behind its prefix. */
static struct sl_cel_token lex_string(struct sl_cel_lex *lex, uint32_t ahead, bool raw, bool bytes)
{
    uint32_t offset = lex->at;
    lex->at += ahead;
    uint8_t quote = peek(lex, 0);
    bool triple = peek(lex, 1) == quote && peek(lex, 2) == quote;
    lex->at += triple ? 3 : 1;
    uint32_t start = lex->at;
    for (;;) {
        if (lex->at >= lex->source.size) return fail(lex, offset, "the string does not end");
        uint8_t c = peek(lex, 0);
        if (c == quote && (!triple || (peek(lex, 1) == quote && peek(lex, 2) == quote))) break;
        if (!triple && (c == '\n' || c == '\r')) {
            return fail(lex, offset, "the string does not end on its line");
        }
        if (c == '\\' && !raw) lex->at++;
        lex->at++;
    }
    struct sl_cel_token made =
        token(lex, bytes ? SL_CEL_TOK_BYTES : SL_CEL_TOK_STRING, start, lex->at);
    made.offset = offset;
    lex->at += triple ? 3 : 1;
    return finish_string(lex, made, raw);
}

/* If a string literal begins here, its prefix length and sort. */
static bool is_string(const struct sl_cel_lex *lex, uint32_t *ret_prefix, bool *ret_raw,
                      bool *ret_bytes)
{
    *ret_raw = *ret_bytes = false;
    for (uint32_t i = 0; i < 3; i++) {
        uint8_t c = peek(lex, i);
        if (c == '"' || c == '\'') {
            *ret_prefix = i;
            return true;
        }
        if ((c | 0x20) == 'r' && !*ret_raw) {
            *ret_raw = true;
        } else if ((c | 0x20) == 'b' && i == 0) {
            *ret_bytes = true;
        } else {
            return false;
        }
    }
    return false;
}

static struct sl_cel_token lex_word(struct sl_cel_lex *lex)
{
    uint32_t start = lex->at;
    while (is_letter(peek(lex, 0)) || is_digit(peek(lex, 0))) lex->at++;
    struct sl_cel_token made = token(lex, SL_CEL_TOK_IDENT, start, lex->at);
    if (sl_slice_eq_str(made.text, "true")) made.kind = SL_CEL_TOK_TRUE;
    if (sl_slice_eq_str(made.text, "false")) made.kind = SL_CEL_TOK_FALSE;
    if (sl_slice_eq_str(made.text, "null")) made.kind = SL_CEL_TOK_NULL;
    if (sl_slice_eq_str(made.text, "in")) made.kind = SL_CEL_TOK_IN;
    return made;
}

/* `a-b`: letters, digits and _ . - / and space. */
static struct sl_cel_token lex_quoted(struct sl_cel_lex *lex)
{
    uint32_t offset = lex->at++;
    uint32_t start = lex->at;
    for (;;) {
        uint8_t c = peek(lex, 0);
        if (c == '`') break;
        if (!is_letter(c) && !is_digit(c) && c != '.' && c != '-' && c != '/' && c != ' ') {
            return fail(lex, offset, "the quoted name does not end");
        }
        lex->at++;
    }
    if (lex->at == start) return fail(lex, offset, "a quoted name is not empty");
    struct sl_cel_token made = token(lex, SL_CEL_TOK_QUOTED_IDENT, start, lex->at);
    made.offset = offset;
    lex->at++;
    return made;
}

static struct sl_cel_token lex_operator(struct sl_cel_lex *lex)
{
    static const char singles[] = "()[]{}.,:?+-*/%!<>";
    uint32_t start = lex->at;
    uint8_t c = peek(lex, 0);
    uint8_t next = peek(lex, 1);
    uint32_t op = 0;
    bool doubled = (next == '=' && (c == '=' || c == '!' || c == '<' || c == '>')) ||
                   (c == '&' && next == '&') || (c == '|' && next == '|');
    if (doubled) {
        op = SL_CEL_OP2(c, next);
    } else if (c != 0 && strchr(singles, c) != NULL) {
        op = c;
    } else {
        return fail(lex, start, unexpected(c));
    }
    lex->at += doubled ? 2 : 1;
    struct sl_cel_token made = token(lex, SL_CEL_TOK_OPERATOR, start, lex->at);
    made.op = op;
    return made;
}

struct sl_cel_token sl_cel_lex_next(struct sl_cel_lex *lex)
{
    sl_assert(lex != NULL);
    if (lex->error != NULL) return fail(lex, lex->error_offset, lex->error);
    skip_space(lex);
    if (lex->at >= lex->source.size) return token(lex, SL_CEL_TOK_END, lex->at, lex->at);
    uint8_t c = peek(lex, 0);
    uint32_t prefix;
    bool raw;
    bool bytes;
    if (is_string(lex, &prefix, &raw, &bytes)) return lex_string(lex, prefix, raw, bytes);
    if (is_letter(c)) return lex_word(lex);
    if (is_digit(c) || (c == '.' && is_digit(peek(lex, 1)))) return lex_number(lex);
    if (c == '`') return lex_quoted(lex);
    return lex_operator(lex);
}

bool sl_cel_is_reserved(struct sl_slice name)
{
    static const char *const words[] = {
        "as",  "break", "const",   "continue",  "else",   "for", "function", "if",    "import",
        "let", "loop",  "package", "namespace", "return", "var", "void",     "while",
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (sl_slice_eq_str(name, words[i])) return true;
    }
    return false;
}
