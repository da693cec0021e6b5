/* SPDX-License-Identifier: MIT */
/* The lexer follows LuaJIT's: names may have any byte above 127, numbers end where its numbers end. */
#include "nodes/script/lua/rewrite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "core/mem/out.h"

static const char tick_text[] = " " LUA_COUNTER "[1]=" LUA_COUNTER "[1]-1 if " LUA_COUNTER
                                "[1]<" LUA_BELL "[1]then " LUA_COUNTER "[1]=" LUA_BELL "[2]()end ";

enum token {
    TOKEN_END,
    TOKEN_NAME,
    TOKEN_VALUE,     /* string, number, nil, true, false, `...` */
    TOKEN_CLOSE,     /* `)`, `]`, `}`: a statement may follow */
    TOKEN_OPEN,      /* `(` */
    TOKEN_SEMICOLON, /* and the second `::` of a label */
    TOKEN_OPERATOR,  /* the rest */
    TOKEN_BROKEN,    /* not Lua: all that is left */
    /* Words. */
    TOKEN_DO,
    TOKEN_REPEAT,
    TOKEN_FUNCTION,
    TOKEN_GOTO,
    TOKEN_RETURN,
    TOKEN_IF,
    TOKEN_END_WORD,
    TOKEN_UNTIL,
    TOKEN_BLOCK, /* then, else, break: a statement may follow */
    TOKEN_WORD,  /* and, elseif, for, in, local, not, or, while */
};

struct lexer {
    const uint8_t *at;
    const uint8_t *end;
    const uint8_t *line_start;
    uint32_t line; /* from 1 */
};

/* One token, and where it begins. */
struct lexeme {
    enum token token;
    struct sl_slice text;
    struct sl_pos pos;
};

struct rewriter {
    struct lexer lexer;
    struct sl_out out;
    struct sl_pos *lines;
    uint32_t lines_count;
    uint32_t lines_cap;
    enum token before;     /* the token before this one */
    bool before_is_colons; /* it is the `::` of a label */
    uint32_t line_before;  /* where it ended */
    uint32_t tokens_count; /* up to 3 are looked at */
    uint32_t depth;        /* blocks open */
    bool pure;
    bool pure_over;   /* the function that is all of it has ended */
    uint32_t braces;  /* open */
    uint32_t concats; /* `..` since the last count */
    uint32_t concats_max;
    uint32_t uncounted_depth; /* of a `..` that no count follows yet; UINT32_MAX: there is none */
    enum { HEAD_NONE, HEAD_NAME, HEAD_PARAMETERS } head;
    bool ticks;
    bool failed;
};

/* ---- Lexer --------------------------------------------------------------------------------- */

static bool is_name_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c >= 128;
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static uint8_t peek(const struct lexer *lexer, size_t ahead)
{
    return (size_t)(lexer->end - lexer->at) > ahead ? lexer->at[ahead] : 0;
}

/* Step over a line's end: \n, \r, \r\n or \n\r. */
static void newline_skip(struct lexer *lexer)
{
    uint8_t first = *lexer->at++;
    uint8_t second = peek(lexer, 0);
    if (lexer->at < lexer->end && (second == '\n' || second == '\r') && second != first) {
        lexer->at++;
    }
    lexer->line++;
    lexer->line_start = lexer->at;
}

/* Step over one byte, or over a line's end. */
static void byte_skip(struct lexer *lexer)
{
    if (*lexer->at == '\n' || *lexer->at == '\r') {
        newline_skip(lexer);
    } else {
        lexer->at++;
    }
}

/* At `[`: the number of `=` before the second `[`, or -1 if it opens no long bracket. */
static int64_t long_bracket_level(const struct lexer *lexer)
{
    int64_t level = 0;
    while (peek(lexer, (size_t)level + 1) == '=') level++;
    return peek(lexer, (size_t)level + 1) == '[' ? level : -1;
}

/* Step over a long bracket and what is in it. False if it does not end. */
static bool long_bracket_skip(struct lexer *lexer, int64_t level)
{
    lexer->at += level + 2;
    while (lexer->at < lexer->end) {
        if (*lexer->at != ']') {
            byte_skip(lexer);
            continue;
        }
        int64_t count = 0;
        lexer->at++;
        while (peek(lexer, 0) == '=') {
            count++;
            lexer->at++;
        }
        if (count == level && peek(lexer, 0) == ']') {
            lexer->at++;
            return true;
        }
    }
    return false;
}

/* Step over space and comments. False if a comment does not end. */
static bool space_skip(struct lexer *lexer)
{
    while (lexer->at < lexer->end) {
        uint8_t c = *lexer->at;
        if (c == '\n' || c == '\r') {
            newline_skip(lexer);
        } else if (c == ' ' || (c >= '\t' && c <= '\f')) {
            lexer->at++;
        } else if (c == '-' && peek(lexer, 1) == '-') {
            lexer->at += 2;
            int64_t level = peek(lexer, 0) == '[' ? long_bracket_level(lexer) : -1;
            if (level >= 0) {
                if (!long_bracket_skip(lexer, level)) return false;
                continue;
            }
            while (lexer->at < lexer->end && *lexer->at != '\n' && *lexer->at != '\r') lexer->at++;
        } else {
            return true;
        }
    }
    return true;
}

/* Step over 'text' or "text". False if it does not end on its line. */
static bool string_skip(struct lexer *lexer)
{
    uint8_t quote = *lexer->at++;
    while (lexer->at < lexer->end) {
        uint8_t c = *lexer->at;
        if (c == '\n' || c == '\r') return false;
        lexer->at++;
        if (c == quote) return true;
        if (c != '\\' || lexer->at == lexer->end) continue;
        bool skips_space = *lexer->at == 'z';
        byte_skip(lexer);
        while (skips_space && lexer->at < lexer->end &&
               (*lexer->at == ' ' || (*lexer->at >= '\t' && *lexer->at <= '\r'))) {
            byte_skip(lexer);
        }
    }
    return false;
}

static void number_skip(struct lexer *lexer)
{
    uint8_t exponent = *lexer->at == '0' && (peek(lexer, 1) | 0x20) == 'x' ? 'p' : 'e';
    uint8_t before = 0;
    while (lexer->at < lexer->end) {
        uint8_t c = *lexer->at;
        bool is_sign = (c == '-' || c == '+') && (before | 0x20) == exponent;
        if (!is_name_byte(c) && c != '.' && !is_sign) return;
        before = c;
        lexer->at++;
    }
}

static enum token word_token(struct sl_slice text)
{
    static const struct {
        const char *word;
        enum token token;
    } words[] = {
        {"do", TOKEN_DO},        {"repeat", TOKEN_REPEAT}, {"function", TOKEN_FUNCTION},
        {"goto", TOKEN_GOTO},    {"return", TOKEN_RETURN}, {"if", TOKEN_IF},
        {"end", TOKEN_END_WORD}, {"until", TOKEN_UNTIL},   {"then", TOKEN_BLOCK},
        {"else", TOKEN_BLOCK},   {"break", TOKEN_BLOCK},   {"nil", TOKEN_VALUE},
        {"true", TOKEN_VALUE},   {"false", TOKEN_VALUE},   {"and", TOKEN_WORD},
        {"elseif", TOKEN_WORD},  {"for", TOKEN_WORD},      {"in", TOKEN_WORD},
        {"local", TOKEN_WORD},   {"not", TOKEN_WORD},      {"or", TOKEN_WORD},
        {"while", TOKEN_WORD},
    };
    if (text.size > 8) return TOKEN_NAME;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (sl_slice_eq_str(text, words[i].word)) return words[i].token;
    }
    return TOKEN_NAME;
}

/* Everything that is no name, number or string. */
static enum token symbol_skip(struct lexer *lexer)
{
    uint8_t c = *lexer->at;
    uint8_t second = peek(lexer, 1);
    lexer->at++;
    if (c == '.' && second == '.') {
        lexer->at++;
        if (peek(lexer, 0) != '.') return TOKEN_OPERATOR;
        lexer->at++;
        return TOKEN_VALUE;
    }
    if ((second == '=' && (c == '=' || c == '~' || c == '<' || c == '>')) ||
        (c == ':' && second == ':')) {
        lexer->at++;
        return c == ':' ? TOKEN_SEMICOLON : TOKEN_OPERATOR;
    }
    if (c == '(') return TOKEN_OPEN;
    if (c == ')' || c == ']' || c == '}') return TOKEN_CLOSE;
    return c == ';' ? TOKEN_SEMICOLON : TOKEN_OPERATOR;
}

static enum token token_skip(struct lexer *lexer)
{
    const uint8_t *start = lexer->at;
    uint8_t c = *start;
    if (is_digit(c) || (c == '.' && is_digit(peek(lexer, 1)))) {
        number_skip(lexer);
        return TOKEN_VALUE;
    }
    if (is_name_byte(c)) {
        while (lexer->at < lexer->end && is_name_byte(*lexer->at)) lexer->at++;
        return word_token(sl_slice_make(start, (size_t)(lexer->at - start)));
    }
    if (c == '"' || c == '\'') return string_skip(lexer) ? TOKEN_VALUE : TOKEN_BROKEN;
    int64_t level = c == '[' ? long_bracket_level(lexer) : -1;
    if (level >= 0) return long_bracket_skip(lexer, level) ? TOKEN_VALUE : TOKEN_BROKEN;
    return symbol_skip(lexer);
}

static struct lexeme next(struct lexer *lexer)
{
    struct lexer before = *lexer;
    bool good = space_skip(lexer);
    if (!good) *lexer = before;
    struct lexeme lexeme = {
        .token = TOKEN_END,
        .pos = {lexer->line, (uint32_t)(lexer->at - lexer->line_start) + 1},
    };
    const uint8_t *start = lexer->at;
    if (lexer->at < lexer->end) lexeme.token = good ? token_skip(lexer) : TOKEN_BROKEN;
    if (lexeme.token == TOKEN_BROKEN) {
        lexer->at = start;
        while (lexer->at < lexer->end) byte_skip(lexer);
    }
    lexeme.text = sl_slice_make(start, (size_t)(lexer->at - start));
    return lexeme;
}

/* ---- Writing ------------------------------------------------------------------------------- */

static void line_add(struct rewriter *rewriter, struct sl_pos pos)
{
    if (rewriter->lines_count == rewriter->lines_cap) {
        uint32_t cap = rewriter->lines_cap ? rewriter->lines_cap * 2 : 256;
        struct sl_pos *lines = realloc(rewriter->lines, cap * sizeof(*lines));
        if (lines == NULL) {
            rewriter->failed = true;
            return;
        }
        rewriter->lines = lines;
        rewriter->lines_cap = cap;
    }
    rewriter->lines[rewriter->lines_count++] = pos;
}

static void put_tick(struct rewriter *rewriter)
{
    if (rewriter->depth <= rewriter->uncounted_depth) {
        rewriter->uncounted_depth = UINT32_MAX;
        rewriter->concats = 0;
    }
    if (rewriter->ticks) sl_out_append(&rewriter->out, tick_text, sizeof(tick_text) - 1);
}

/*
 * Remember that a statement with `..` wants a count behind it, in a place that is passed whenever
 * the statement was: not in the other branch of an `if`.
 */
static void concat_follow(struct rewriter *rewriter, const struct lexeme *lexeme)
{
    if (sl_slice_eq_str(lexeme->text, "..")) {
        if (++rewriter->concats > rewriter->concats_max) rewriter->concats_max = rewriter->concats;
        if (rewriter->depth < rewriter->uncounted_depth)
            rewriter->uncounted_depth = rewriter->depth;
    } else if (rewriter->uncounted_depth == rewriter->depth && rewriter->depth > 0 &&
               (sl_slice_eq_str(lexeme->text, "else") || sl_slice_eq_str(lexeme->text, "elseif"))) {
        rewriter->uncounted_depth = rewriter->depth - 1;
    }
}

/* Does a statement begin with this token, for certain? (`(` may go on with a call.) */
static bool is_statement(const struct rewriter *rewriter, const struct lexeme *lexeme)
{
    switch (rewriter->before) {
    case TOKEN_NAME:
    case TOKEN_VALUE:
    case TOKEN_CLOSE:
    case TOKEN_END_WORD: break;
    case TOKEN_SEMICOLON:
        if (rewriter->braces > 0 || rewriter->before_is_colons) return false;
        break;
    default: return false;
    }
    switch (lexeme->token) {
    case TOKEN_NAME:
    case TOKEN_FUNCTION:
    case TOKEN_IF:
    case TOKEN_REPEAT: return true; /* a `do` may belong to `for … in` */
    case TOKEN_WORD:
        return sl_slice_eq_str(lexeme->text, "local") || sl_slice_eq_str(lexeme->text, "for") ||
               sl_slice_eq_str(lexeme->text, "while");
    default: return false;
    }
}

/* May a statement begin behind this token? Where not, `goto` is a name. */
static bool may_end_statement(enum token token)
{
    switch (token) {
    case TOKEN_OPEN:
    case TOKEN_OPERATOR:
    case TOKEN_FUNCTION:
    case TOKEN_GOTO:
    case TOKEN_RETURN:
    case TOKEN_IF:
    case TOKEN_UNTIL:
    case TOKEN_WORD: return false;
    default: return true;
    }
}

static bool is_goto(const struct rewriter *rewriter, const struct lexeme *lexeme)
{
    if (lexeme->token != TOKEN_GOTO || !may_end_statement(rewriter->before)) return false;
    struct lexer ahead = rewriter->lexer;
    return next(&ahead).token == TOKEN_NAME;
}

/* Is it a `return` of a call of `error`? */
static bool is_error_return(const struct rewriter *rewriter, const struct lexeme *lexeme)
{
    if (lexeme->token != TOKEN_RETURN) return false;
    struct lexer ahead = rewriter->lexer;
    struct lexeme callee = next(&ahead);
    if (callee.token != TOKEN_NAME || !sl_slice_eq_str(callee.text, "error")) return false;
    enum token token = next(&ahead).token;
    return token == TOKEN_OPEN || token == TOKEN_VALUE;
}

/* The line of what follows `return`: the next one. */
static void put_error_line(struct rewriter *rewriter)
{
    char text[48];
    if (!rewriter->ticks) return;
    int size = snprintf(text, sizeof(text), " " LUA_BELL "[3]=%u ", rewriter->lines_count + 1);
    sl_out_append(&rewriter->out, text, (size_t)size);
}

/* A new line for the token, and one for each line inside it. */
static void put(struct rewriter *rewriter, const struct lexeme *lexeme)
{
    bool joined = lexeme->token == TOKEN_OPEN && lexeme->pos.line == rewriter->line_before;
    if (joined) {
        sl_out_append(&rewriter->out, " ", 1);
    } else {
        sl_out_append(&rewriter->out, "\n", 1);
        line_add(rewriter, lexeme->pos);
    }
    bool wants = rewriter->uncounted_depth != UINT32_MAX && is_statement(rewriter, lexeme);
    if (wants || is_goto(rewriter, lexeme)) put_tick(rewriter);
    if (is_error_return(rewriter, lexeme)) put_error_line(rewriter);
    sl_out_append(&rewriter->out, lexeme->text.data, lexeme->text.size);
    for (uint32_t line = lexeme->pos.line + 1; line <= rewriter->lexer.line; line++) {
        line_add(rewriter, (struct sl_pos){line, 1});
    }
}

/* Count what was opened or closed; put a tick where something may repeat. */
static void follow(struct rewriter *rewriter, enum token token)
{
    switch (token) {
    case TOKEN_DO:
    case TOKEN_REPEAT:
        rewriter->depth++;
        put_tick(rewriter);
        break;
    case TOKEN_IF: rewriter->depth++; break;
    case TOKEN_FUNCTION:
        rewriter->depth++;
        rewriter->head = HEAD_NAME;
        break;
    case TOKEN_END_WORD:
    case TOKEN_UNTIL:
        if (rewriter->depth > 0) rewriter->depth--;
        if (rewriter->depth == 0) rewriter->pure_over = true;
        break;
    case TOKEN_OPEN:
        if (rewriter->head == HEAD_NAME) rewriter->head = HEAD_PARAMETERS;
        break;
    case TOKEN_CLOSE:
        if (rewriter->head == HEAD_PARAMETERS) {
            rewriter->head = HEAD_NONE;
            put_tick(rewriter);
        }
        break;
    default: break;
    }
}

/* The text is pure as long as it looks like `return function … end` and at most one `;`. */
static void pure_follow(struct rewriter *rewriter, const struct lexeme *lexeme)
{
    uint32_t count = rewriter->tokens_count;
    if (count < 2) rewriter->tokens_count++;
    if (count == 0 && lexeme->token != TOKEN_RETURN) rewriter->pure = false;
    if (count == 1 && lexeme->token != TOKEN_FUNCTION) rewriter->pure = false;
    if (rewriter->pure_over && !sl_slice_eq_str(lexeme->text, ";")) rewriter->pure = false;
}

static bool has_reserved_byte(const struct lexeme *lexeme)
{
    return lexeme->token == TOKEN_NAME &&
           memchr(lexeme->text.data, 0xff, lexeme->text.size) != NULL;
}

static int rewrite_all(struct rewriter *rewriter, struct sl_diag *reterr)
{
    for (;;) {
        struct lexeme lexeme = next(&rewriter->lexer);
        if (lexeme.token == TOKEN_END) {
            /* Where the compiler says that something is missing at the end. */
            sl_out_append(&rewriter->out, "\n", 2);
            line_add(rewriter, lexeme.pos);
            return 0;
        }
        if (has_reserved_byte(&lexeme)) {
            return sl_diag_set(reterr, "script_syntax", lexeme.pos,
                               "a name contains the byte 0xff, which is no UTF-8");
        }
        pure_follow(rewriter, &lexeme);
        concat_follow(rewriter, &lexeme);
        put(rewriter, &lexeme);
        follow(rewriter, lexeme.token);
        if (lexeme.token != TOKEN_VALUE && sl_slice_eq_str(lexeme.text, "{")) rewriter->braces++;
        if (rewriter->braces > 0 && sl_slice_eq_str(lexeme.text, "}")) rewriter->braces--;
        rewriter->before = lexeme.token;
        rewriter->before_is_colons = sl_slice_eq_str(lexeme.text, "::");
        rewriter->line_before = rewriter->lexer.line;
        if (rewriter->failed || rewriter->out.error != 0) return -ENOMEM;
    }
}

int lua_rewrite(struct sl_slice source, bool ticks, struct lua_rewrite *ret, struct sl_diag *reterr)
{
    sl_assert(ret != NULL);
    sl_assert(source.data != NULL || source.size == 0);
    static const uint8_t nothing[1] = {0};
    const uint8_t *start = source.size > 0 ? source.data : nothing;
    const uint8_t *begin = start, *end = start + source.size;
    if (source.size >= 3 && memcmp(start, "\xef\xbb\xbf", 3) == 0) start += 3; /* BOM */
    if (start < end && *start == '#') { /* a line for a Unix shell: no Lua */
        while (start < end && *start != '\n' && *start != '\r') start++;
    }
    struct rewriter rewriter = {
        .lexer = {start, end, begin, 1},
        .before = TOKEN_SEMICOLON,
        .pure = true,
        .uncounted_depth = UINT32_MAX,
        .ticks = ticks,
    };
    sl_out_init(&rewriter.out, NULL);
    line_add(&rewriter, (struct sl_pos){1, 1}); /* the first token begins the second line */
    int err = rewrite_all(&rewriter, reterr);
    if (err == 0 && (rewriter.failed || rewriter.out.error != 0)) err = -ENOMEM;
    if (err < 0) {
        sl_out_fini(&rewriter.out);
        free(rewriter.lines);
        return err;
    }
    size_t size, cap;
    ret->text = (char *)sl_out_take(&rewriter.out, &size, &cap);
    ret->size = size - 1;
    ret->lines = rewriter.lines;
    ret->lines_count = rewriter.lines_count;
    ret->concats_max = rewriter.concats_max;
    ret->pure = rewriter.pure && rewriter.pure_over;
    return 0;
}

void lua_rewrite_fini(struct lua_rewrite *rewrite)
{
    sl_assert(rewrite != NULL);
    free(rewrite->text);
    free(rewrite->lines);
    *rewrite = (struct lua_rewrite){0};
}

struct sl_pos lua_rewrite_pos(const struct lua_rewrite *rewrite, uint32_t line)
{
    sl_assert(rewrite != NULL);
    if (line == 0 || line > rewrite->lines_count) return (struct sl_pos){0, 0};
    return rewrite->lines[line - 1];
}
