/* SPDX-License-Identifier: MIT */
/* Lines of the access log, and the file they go to. */
#include "ctl/admin/access_log.h"

#include <errno.h>
#include <fcntl.h>
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

enum {
    ESCAPED_MAX = 6,       /* bytes that one of a client may become */
    LINE_FIXED_MAX = 1024, /* names, numbers, times, ids */
    LINE_SIZE_MAX = ESCAPED_MAX * SL_ACCESS_TEXT_SIZE + LINE_FIXED_MAX,
    TIME_SIZE = 40,
};

/* Where the next byte goes; there is room for LINE_SIZE_MAX from the beginning of the line. */
struct line {
    uint8_t *at;
};

static inline void put_bytes(struct line *line, const void *data, size_t size)
{
    memcpy(line->at, data, size);
    line->at += size;
}

/* Of a literal: its size is known when this is compiled. */
static inline __attribute__((always_inline)) void put_text(struct line *line, const char *text)
{
    put_bytes(line, text, strlen(text));
}

static void put_escape(struct line *line, uint8_t byte, const char *escape)
{
    static const char digits[] = "0123456789abcdef";
    if (byte == '"' || byte == '\\') {
        *line->at++ = '\\';
        *line->at++ = byte;
        return;
    }
    put_bytes(line, escape, strlen(escape));
    *line->at++ = (uint8_t)digits[byte >> 4];
    *line->at++ = (uint8_t)digits[byte & 15];
}

/* Quotes, backslashes, control bytes and what is not ASCII: bytes of clients have no encoding. */
static void put_escaped(struct line *line, struct sl_slice text, const char *escape)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        if (__builtin_expect(byte < 0x20 || byte >= 0x7f || byte == '"' || byte == '\\', 0)) {
            put_escape(line, byte, escape);
        } else {
            *line->at++ = byte;
        }
    }
}

/* printf would be most of the cost of a line. */
static void put_number(struct line *line, uint64_t number)
{
    uint32_t count = 1;
    for (uint64_t rest = number; rest >= 10; rest /= 10) count++;
    for (uint32_t i = count; i > 0; i--) {
        line->at[i - 1] = (uint8_t)('0' + number % 10);
        number /= 10;
    }
    line->at += count;
}

/* `before` is the comma, the key and the first quote. */
static inline __attribute__((always_inline)) void put_pair(struct line *line, const char *before,
                                                           const struct sl_access_record *record,
                                                           enum sl_access_part part)
{
    struct sl_slice text = sl_access_part(record, part);
    if (text.size == 0) return;
    put_text(line, before);
    put_escaped(line, text, "\\u00");
    *line->at++ = '"';
}

static inline __attribute__((always_inline)) void put_hex(struct line *line, const char *before,
                                                          const uint8_t *bytes, size_t size)
{
    put_text(line, before);
    sl_span_hex(bytes, size, (char *)line->at);
    line->at += 2 * size;
    *line->at++ = '"';
}

/* The second of a record as text. Many lines of one second follow each other. */
static void put_second(struct line *line, const struct sl_access_record *record,
                       enum sl_access_format format)
{
    static const char *const formats[] = {
        [SL_ACCESS_JSON] = "%Y-%m-%dT%H:%M:%S", [SL_ACCESS_COMBINED] = "%d/%b/%Y:%H:%M:%S +0000"};
    static _Thread_local struct {
        time_t second;
        size_t size;
        char text[TIME_SIZE];
    } kept[sizeof(formats) / sizeof(formats[0])];
    time_t now = (time_t)(record->wall_ns / (int64_t)SL_NS_PER_SEC);
    if (now != kept[format].second || kept[format].size == 0) {
        struct tm time = {0};
        (void)gmtime_r(&now, &time);
        kept[format].size = strftime(kept[format].text, TIME_SIZE, formats[format], &time);
        kept[format].second = now;
    }
    put_bytes(line, kept[format].text, kept[format].size);
}

static void put_millis(struct line *line, uint32_t millis)
{
    *line->at++ = '.';
    *line->at++ = (uint8_t)('0' + millis / 100);
    *line->at++ = (uint8_t)('0' + millis / 10 % 10);
    *line->at++ = (uint8_t)('0' + millis % 10);
}

static void line_json(const struct sl_access_record *record, struct line *line)
{
    put_text(line, "{\"time\":\"");
    put_second(line, record, SL_ACCESS_JSON);
    put_millis(line, (uint32_t)(record->wall_ns / (int64_t)SL_NS_PER_MS % 1000));
    put_text(line, "Z\"");
    put_pair(line, ",\"remote\":\"", record, SL_ACCESS_REMOTE);
    put_pair(line, ",\"method\":\"", record, SL_ACCESS_METHOD);
    put_pair(line, ",\"target\":\"", record, SL_ACCESS_TARGET);
    if (record->sizes[SL_ACCESS_REFUSED] > 0) {
        put_text(line, ",\"status\":");
        put_number(line, record->status);
        put_pair(line, ",\"refused\":\"", record, SL_ACCESS_REFUSED);
        put_text(line, "}\n");
        return;
    }
    put_text(line, ",\"version\":\"1.");
    put_number(line, record->version_minor);
    put_text(line, "\",\"status\":");
    put_number(line, record->status);
    put_text(line, ",\"bytes_in\":");
    put_number(line, record->bytes_in);
    put_text(line, ",\"bytes_out\":");
    put_number(line, record->bytes_out);
    uint64_t tenths = (record->duration_ns + 50) / 100; /* of a microsecond */
    put_text(line, ",\"duration_us\":");
    put_number(line, tenths / 10);
    *line->at++ = '.';
    put_number(line, tenths % 10);
    put_hex(line, ",\"trace_id\":\"", record->span.trace_id, sizeof(record->span.trace_id));
    put_hex(line, ",\"span_id\":\"", record->span.id, sizeof(record->span.id));
    if (!sl_span_is_root(&record->span)) {
        put_hex(line, ",\"parent_id\":\"", record->span.parent, sizeof(record->span.parent));
    }
    put_pair(line, ",\"request_id\":\"", record, SL_ACCESS_REQUEST_ID);
    put_pair(line, ",\"referer\":\"", record, SL_ACCESS_REFERER);
    put_pair(line, ",\"user_agent\":\"", record, SL_ACCESS_USER_AGENT);
    put_text(line, "}\n");
}

static void put_or_dash(struct line *line, struct sl_slice text)
{
    if (text.size == 0) text = SL_SLICE("-");
    put_escaped(line, text, "\\x");
}

static void line_combined(const struct sl_access_record *record, struct line *line)
{
    put_or_dash(line, sl_access_part(record, SL_ACCESS_REMOTE));
    put_text(line, " - - [");
    put_second(line, record, SL_ACCESS_COMBINED);
    put_text(line, "] \"");
    put_or_dash(line, sl_access_part(record, SL_ACCESS_METHOD));
    if (sl_access_part(record, SL_ACCESS_METHOD).size > 0) {
        *line->at++ = ' ';
        put_escaped(line, sl_access_part(record, SL_ACCESS_TARGET), "\\x");
        put_text(line, " HTTP/1.");
        put_number(line, record->version_minor);
    }
    put_text(line, "\" ");
    put_number(line, record->status);
    *line->at++ = ' ';
    put_number(line, record->bytes_out);
    put_text(line, " \"");
    put_or_dash(line, sl_access_part(record, SL_ACCESS_REFERER));
    put_text(line, "\" \"");
    put_or_dash(line, sl_access_part(record, SL_ACCESS_USER_AGENT));
    put_text(line, "\"\n");
}

void sl_access_line(const struct sl_access_record *record, enum sl_access_format format,
                    struct sl_out *out)
{
    sl_assert(record != NULL);
    sl_assert(format == SL_ACCESS_JSON || format == SL_ACCESS_COMBINED);
    struct line line = {.at = sl_out_reserve(out, LINE_SIZE_MAX)};
    if (line.at == NULL) return;
    if (format == SL_ACCESS_JSON) {
        line_json(record, &line);
    } else {
        line_combined(record, &line);
    }
    size_t size = (size_t)(line.at - (out->data + out->size));
    sl_assert(size <= LINE_SIZE_MAX);
    out->size += size;
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
