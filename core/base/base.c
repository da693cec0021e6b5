/* SPDX-License-Identifier: MIT */
/* Assertions, slices and the log: the parts of the base that need a body. */
#include "core/base/assertion.h"
#include "core/base/log.h"
#include "core/base/slice.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { LOG_LINE_SIZE = 4096 };

void sl_assert_fail(const char *condition, const char *file, int line)
{
    (void)fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, condition);
    abort();
}

static uint8_t ascii_lower(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') ? (uint8_t)(c | 0x20) : c;
}

bool sl_slice_eq_nocase(struct sl_slice a, struct sl_slice b)
{
    if (a.size != b.size) return false;
    for (size_t i = 0; i < a.size; i++) {
        if (ascii_lower(a.data[i]) != ascii_lower(b.data[i])) return false;
    }
    return true;
}

int sl_slice_compare(struct sl_slice a, struct sl_slice b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common > 0 ? memcmp(a.data, b.data, common) : 0;
    if (order != 0) return order;
    return (a.size > b.size) - (a.size < b.size);
}

char *sl_slice_dup_str(struct sl_slice slice)
{
    char *str = malloc(slice.size + 1);
    if (str == NULL) return NULL;
    if (slice.size > 0) memcpy(str, slice.data, slice.size);
    str[slice.size] = '\0';
    return str;
}

static _Atomic int log_level = SL_LOG_INFO;
static _Atomic int log_format = SL_LOG_TEXT;
static sl_log_sink_fn *log_sink;
static void *log_sink_ctx;

void sl_log_set_level(enum sl_log_level level)
{
    atomic_store_explicit(&log_level, (int)level, memory_order_relaxed);
}

bool sl_log_is_on(enum sl_log_level level)
{
    return (int)level >= atomic_load_explicit(&log_level, memory_order_relaxed);
}

void sl_log_set_format(enum sl_log_format format)
{
    atomic_store_explicit(&log_format, (int)format, memory_order_relaxed);
}

void sl_log_set_sink(sl_log_sink_fn *sink, void *ctx)
{
    log_sink = sink;
    log_sink_ctx = ctx;
}

/* Append `text` as the inside of a JSON string; what does not fit is left out. */
static size_t json_escape(char *buf, size_t size, const char *text)
{
    size_t used = 0;
    for (; *text != '\0' && used + 7 < size; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            buf[used++] = '\\';
            buf[used++] = (char)c;
        } else if (c < 0x20) {
            used += (size_t)snprintf(buf + used, size - used, "\\u%04x", c);
        } else {
            buf[used++] = (char)c;
        }
    }
    return used;
}

/*
 * Append `text` so that it stays one message to people and to the terminal: what follows a newline
 * is set in by two blanks, and other control characters are written out.
 */
static size_t text_escape(char *buf, size_t size, const char *text)
{
    size_t used = 0;
    for (; *text != '\0' && used + 5 < size; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '\n') {
            if (text[1] == '\0') break;
            used += (size_t)snprintf(buf + used, size - used, "\n  ");
        } else if ((c < 0x20 && c != '\t') || c == 0x7f) {
            used += (size_t)snprintf(buf + used, size - used, "\\x%02x", c);
        } else if (c == 0xc2 && ((unsigned char)text[1] & 0xe0) == 0x80) {
            /* U+0080 to U+009F: terminals take them for control characters, too. */
            used += (size_t)snprintf(buf + used, size - used, "\\x%02x", (unsigned char)*++text);
        } else {
            buf[used++] = (char)c;
        }
    }
    return used;
}

static void log_line_write(const char *line, size_t size)
{
    if (log_sink != NULL) {
        log_sink(log_sink_ctx, line, size);
        return;
    }
    char out[LOG_LINE_SIZE + 1];
    memcpy(out, line, size);
    out[size] = '\n';
    /* One write(2) per line keeps lines of several threads apart. */
    ssize_t done = write(STDERR_FILENO, out, size + 1);
    (void)done;
}

void sl_log(enum sl_log_level level, const char *fmt, ...)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    if (!sl_log_is_on(level)) return;

    char text[LOG_LINE_SIZE / 2];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);

    struct timespec now;
    struct tm tm;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &tm);
    char stamp[40];
    size_t stamp_size = strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(stamp + stamp_size, sizeof(stamp) - stamp_size, ".%03ldZ",
                   now.tv_nsec / 1000000);

    char line[LOG_LINE_SIZE];
    size_t used;
    if (atomic_load_explicit(&log_format, memory_order_relaxed) == SL_LOG_JSON) {
        used = (size_t)snprintf(line, sizeof(line), "{\"time\":\"%s\",\"level\":\"%s\",\"text\":\"",
                                stamp, names[level]);
        used += json_escape(line + used, sizeof(line) - used - 3, text);
        line[used++] = '"';
        line[used++] = '}';
    } else {
        used = (size_t)snprintf(line, sizeof(line), "%s %s ", stamp, names[level]);
        used += text_escape(line + used, sizeof(line) - used, text);
    }
    log_line_write(line, used);
}
