/* SPDX-License-Identifier: MIT */
/* Lines of the access log, and the file they go to. */
#include "ctl/admin/access_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/assertion.h"
#include "core/base/clock.h"
#include "core/base/log.h"

struct sl_access_log {
    char *path;
    int fd;
    enum sl_access_format format;
    bool has_failed; /* said once */
    struct sl_out out;
};

/* ---- lines ----------------------------------------------------------------------------------- */

static void put(struct sl_out *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(struct sl_out *out, const char *fmt, ...)
{
    char text[256];
    va_list args;
    va_start(args, fmt);
    int size = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    sl_assert(size >= 0);
    sl_assert((size_t)size < sizeof(text));
    sl_out_append(out, text, (size_t)size);
}

/* Quotes, backslashes, control bytes and what is not ASCII: bytes of clients have no encoding. */
static void put_escaped(struct sl_out *out, struct sl_slice text, const char *escape)
{
    size_t done = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        if (byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\') continue;
        sl_out_append(out, text.data + done, i - done);
        done = i + 1;
        if (byte == '"' || byte == '\\') {
            sl_out_append_byte(out, '\\');
            sl_out_append_byte(out, byte);
        } else {
            put(out, "%s%02x", escape, byte);
        }
    }
    sl_out_append(out, text.data + done, text.size - done);
}

static void put_text(struct sl_out *out, const char *text)
{
    sl_out_append(out, text, strlen(text));
}

/* printf would be most of the cost of a line. */
static void put_number(struct sl_out *out, const char *before, uint64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);
    put_text(out, before);
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    sl_out_append(out, digits + at, sizeof(digits) - at);
}

static void put_pair(struct sl_out *out, const char *key, const struct sl_access_record *record,
                     enum sl_access_part part)
{
    struct sl_slice text = sl_access_part(record, part);
    if (text.size == 0) return;
    put_text(out, ",\"");
    put_text(out, key);
    put_text(out, "\":\"");
    put_escaped(out, text, "\\u00");
    sl_out_append_byte(out, '"');
}

static void put_hex(struct sl_out *out, const char *key, const uint8_t *bytes, size_t size)
{
    char text[32];
    sl_assert(2 * size <= sizeof(text));
    sl_span_hex(bytes, size, text);
    put_text(out, ",\"");
    put_text(out, key);
    put_text(out, "\":\"");
    sl_out_append(out, text, 2 * size);
    sl_out_append_byte(out, '"');
}

static struct tm time_of(const struct sl_access_record *record)
{
    time_t seconds = (time_t)(record->wall_ns / (int64_t)SL_NS_PER_SEC);
    struct tm time = {0};
    (void)gmtime_r(&seconds, &time);
    return time;
}

/* Many lines of one second follow each other. */
static const char *second_text(const struct sl_access_record *record)
{
    static _Thread_local int64_t second = INT64_MIN;
    static _Thread_local char text[40];
    int64_t now = record->wall_ns / (int64_t)SL_NS_PER_SEC;
    if (now != second) {
        struct tm time = time_of(record);
        (void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &time);
        second = now;
    }
    return text;
}

static void put_millis(struct sl_out *out, uint32_t millis)
{
    char text[6] = {'.',
                    (char)('0' + millis / 100),
                    (char)('0' + millis / 10 % 10),
                    (char)('0' + millis % 10),
                    'Z',
                    '"'};
    sl_out_append(out, text, sizeof(text));
}

static void line_json(const struct sl_access_record *record, struct sl_out *out)
{
    put_text(out, "{\"time\":\"");
    put_text(out, second_text(record));
    put_millis(out, (uint32_t)(record->wall_ns / (int64_t)SL_NS_PER_MS % 1000));
    put_pair(out, "remote", record, SL_ACCESS_REMOTE);
    put_pair(out, "method", record, SL_ACCESS_METHOD);
    put_pair(out, "target", record, SL_ACCESS_TARGET);
    if (sl_access_part(record, SL_ACCESS_REFUSED).size > 0) {
        put_number(out, ",\"status\":", record->status);
        put_pair(out, "refused", record, SL_ACCESS_REFUSED);
        sl_out_append(out, "}\n", 2);
        return;
    }
    put_number(out, ",\"version\":\"1.", record->version_minor);
    put_number(out, "\",\"status\":", record->status);
    put_number(out, ",\"bytes_in\":", record->bytes_in);
    put_number(out, ",\"bytes_out\":", record->bytes_out);
    uint64_t tenths = (record->duration_ns + 50) / 100; /* of a microsecond */
    put_number(out, ",\"duration_us\":", tenths / 10);
    put_number(out, ".", tenths % 10);
    put_hex(out, "trace_id", record->span.trace_id, sizeof(record->span.trace_id));
    put_hex(out, "span_id", record->span.id, sizeof(record->span.id));
    if (!sl_span_is_root(&record->span)) {
        put_hex(out, "parent_id", record->span.parent, sizeof(record->span.parent));
    }
    put_pair(out, "request_id", record, SL_ACCESS_REQUEST_ID);
    put_pair(out, "referer", record, SL_ACCESS_REFERER);
    put_pair(out, "user_agent", record, SL_ACCESS_USER_AGENT);
    sl_out_append(out, "}\n", 2);
}

static void put_or_dash(struct sl_out *out, struct sl_slice text)
{
    if (text.size == 0) text = SL_SLICE("-");
    put_escaped(out, text, "\\x");
}

static void line_combined(const struct sl_access_record *record, struct sl_out *out)
{
    char text[40];
    struct tm time = time_of(record);
    (void)strftime(text, sizeof(text), "%d/%b/%Y:%H:%M:%S +0000", &time);
    put_or_dash(out, sl_access_part(record, SL_ACCESS_REMOTE));
    put(out, " - - [%s] \"", text);
    put_or_dash(out, sl_access_part(record, SL_ACCESS_METHOD));
    if (sl_access_part(record, SL_ACCESS_METHOD).size > 0) {
        sl_out_append_byte(out, ' ');
        put_escaped(out, sl_access_part(record, SL_ACCESS_TARGET), "\\x");
        put(out, " HTTP/1.%u", record->version_minor);
    }
    put(out, "\" %u %llu \"", record->status, (unsigned long long)record->bytes_out);
    put_or_dash(out, sl_access_part(record, SL_ACCESS_REFERER));
    sl_out_append(out, "\" \"", 3);
    put_or_dash(out, sl_access_part(record, SL_ACCESS_USER_AGENT));
    sl_out_append(out, "\"\n", 2);
}

void sl_access_line(const struct sl_access_record *record, enum sl_access_format format,
                    struct sl_out *out)
{
    sl_assert(record != NULL);
    if (format == SL_ACCESS_JSON) {
        line_json(record, out);
    } else {
        line_combined(record, out);
    }
}

/* ---- the file -------------------------------------------------------------------------------- */

static int file_open(const char *path)
{
    if (strcmp(path, "-") == 0) return STDOUT_FILENO;
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    return fd < 0 ? -errno : fd;
}

int sl_access_log_open(const char *path, enum sl_access_format format,
                       struct sl_access_log **ret_log, struct sl_diag *reterr)
{
    sl_assert(path != NULL);
    int fd = file_open(path);
    if (fd < 0) {
        (void)sl_diag_set(reterr, "no_access_log", (struct sl_pos){0, 0},
                          "cannot open the access log %s: %s", path, strerror(-fd));
        return fd;
    }
    struct sl_access_log *log = calloc(1, sizeof(*log));
    if (log != NULL) log->path = strdup(path);
    if (log == NULL || log->path == NULL) {
        if (fd != STDOUT_FILENO) (void)close(fd);
        free(log);
        return -ENOMEM;
    }
    log->fd = fd;
    log->format = format;
    sl_out_init(&log->out, NULL);
    *ret_log = log;
    return 0;
}

void sl_access_log_reopen(struct sl_access_log *log)
{
    if (log->fd == STDOUT_FILENO) return;
    int fd = file_open(log->path);
    if (fd < 0) {
        sl_log(SL_LOG_ERROR, "cannot open the access log %s again: %s", log->path, strerror(-fd));
        return;
    }
    (void)close(log->fd);
    log->fd = fd;
    log->has_failed = false;
}

static void lines_write(struct sl_access_log *log)
{
    for (size_t at = 0; at < log->out.size;) {
        ssize_t got = write(log->fd, log->out.data + at, log->out.size - at);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
            if (!log->has_failed) {
                sl_log(SL_LOG_ERROR, "the access log %s cannot be written: %s", log->path,
                       strerror(errno));
            }
            log->has_failed = true;
            return;
        }
        at += (size_t)got;
    }
}

void sl_access_log_write(void *log, const struct sl_access_block *block)
{
    struct sl_access_log *own = log;
    own->out.size = 0;
    own->out.error = 0;
    for (uint32_t i = 0; i < block->count; i++) {
        sl_access_line(&block->records[i], own->format, &own->out);
    }
    lines_write(own);
}

struct sl_access_log *sl_access_log_close(struct sl_access_log *log)
{
    if (log == NULL) return NULL;
    if (log->fd != STDOUT_FILENO) (void)close(log->fd);
    sl_out_fini(&log->out);
    free(log->path);
    free(log);
    return NULL;
}
