/* SPDX-License-Identifier: MIT */
/*
 * Writing heads and chunk lines into the caller's memory.
 */
#include <string.h>

#include "codecs/http1/http1.h"
#include "codecs/http1/scan.h"
#include "core/base/assertion.h"

/* RFC 9110 section 15 and the registry behind it. */
#define STATUSES(X)                                                                                \
    X(100, "Continue")                                                                             \
    X(101, "Switching Protocols")                                                                  \
    X(102, "Processing")                                                                           \
    X(103, "Early Hints")                                                                          \
    X(200, "OK")                                                                                   \
    X(201, "Created")                                                                              \
    X(202, "Accepted")                                                                             \
    X(203, "Non-Authoritative Information")                                                        \
    X(204, "No Content")                                                                           \
    X(205, "Reset Content")                                                                        \
    X(206, "Partial Content")                                                                      \
    X(207, "Multi-Status")                                                                         \
    X(208, "Already Reported")                                                                     \
    X(226, "IM Used")                                                                              \
    X(300, "Multiple Choices")                                                                     \
    X(301, "Moved Permanently")                                                                    \
    X(302, "Found")                                                                                \
    X(303, "See Other")                                                                            \
    X(304, "Not Modified")                                                                         \
    X(305, "Use Proxy")                                                                            \
    X(307, "Temporary Redirect")                                                                   \
    X(308, "Permanent Redirect")                                                                   \
    X(400, "Bad Request")                                                                          \
    X(401, "Unauthorized")                                                                         \
    X(402, "Payment Required")                                                                     \
    X(403, "Forbidden")                                                                            \
    X(404, "Not Found")                                                                            \
    X(405, "Method Not Allowed")                                                                   \
    X(406, "Not Acceptable")                                                                       \
    X(407, "Proxy Authentication Required")                                                        \
    X(408, "Request Timeout")                                                                      \
    X(409, "Conflict")                                                                             \
    X(410, "Gone")                                                                                 \
    X(411, "Length Required")                                                                      \
    X(412, "Precondition Failed")                                                                  \
    X(413, "Content Too Large")                                                                    \
    X(414, "URI Too Long")                                                                         \
    X(415, "Unsupported Media Type")                                                               \
    X(416, "Range Not Satisfiable")                                                                \
    X(417, "Expectation Failed")                                                                   \
    X(421, "Misdirected Request")                                                                  \
    X(422, "Unprocessable Content")                                                                \
    X(423, "Locked")                                                                               \
    X(424, "Failed Dependency")                                                                    \
    X(425, "Too Early")                                                                            \
    X(426, "Upgrade Required")                                                                     \
    X(428, "Precondition Required")                                                                \
    X(429, "Too Many Requests")                                                                    \
    X(431, "Request Header Fields Too Large")                                                      \
    X(451, "Unavailable For Legal Reasons")                                                        \
    X(500, "Internal Server Error")                                                                \
    X(501, "Not Implemented")                                                                      \
    X(502, "Bad Gateway")                                                                          \
    X(503, "Service Unavailable")                                                                  \
    X(504, "Gateway Timeout")                                                                      \
    X(505, "HTTP Version Not Supported")                                                           \
    X(506, "Variant Also Negotiates")                                                              \
    X(507, "Insufficient Storage")                                                                 \
    X(508, "Loop Detected")                                                                        \
    X(511, "Network Authentication Required")

#define X(status, text) [(status)-100] = {(const uint8_t *)text, sizeof(text) - 1},
static const struct sl_slice status_texts[500] = {STATUSES(X)};
#undef X

#define X(status, text)                                                                            \
    [(status)-100] = {(const uint8_t *)"HTTP/1.1 " #status " " text "\r\n",                        \
                      sizeof("HTTP/1.1 " #status " " text "\r\n") - 1},
static const struct sl_slice status_lines[500] = {STATUSES(X)};
#undef X

struct sl_slice sl_http1_status_text(int status)
{
    if (status < 100 || status >= 600 || status_texts[status - 100].data == NULL) {
        return SL_SLICE("");
    }
    return status_texts[status - 100];
}

size_t sl_http1_write_status(uint8_t *out, size_t out_size, int status)
{
    sl_assert(status >= 100);
    sl_assert(status <= 999);
    static const char unnamed[] = "HTTP/1.1 000 \r\n";
    struct sl_slice line = {NULL, 0};
    if (status < 600) line = status_lines[status - 100];
    if (line.data == NULL) line = sl_slice_make(unnamed, sizeof(unnamed) - 1);
    if (line.size > out_size) return 0;
    memcpy(out, line.data, line.size);
    out[9] = (uint8_t)('0' + status / 100);
    out[10] = (uint8_t)('0' + status / 10 % 10);
    out[11] = (uint8_t)('0' + status % 10);
    return line.size;
}

bool sl_http1_header_is_valid(struct sl_slice name, struct sl_slice value)
{
    if (name.size == 0) return false;
    const uint8_t *name_end = name.data + name.size;
    if (sl_http1_scan_token(name.data, name.data, name_end) != name_end) return false;
    if (value.size == 0) return true;
    const uint8_t *value_end = value.data + value.size;
    return sl_http1_scan_value(value.data, value.data, value_end) == value_end;
}

size_t sl_http1_write_header(uint8_t *out, size_t out_size, struct sl_slice name,
                             struct sl_slice value)
{
    sl_assert(out != NULL);
    size_t size = name.size + value.size + 4;
    if (size > out_size || !sl_http1_header_is_valid(name, value)) return 0;
    memcpy(out, name.data, name.size);
    out += name.size;
    *out++ = ':';
    *out++ = ' ';
    if (value.size > 0) memcpy(out, value.data, value.size);
    memcpy(out + value.size, "\r\n", 2);
    return size;
}

size_t sl_http1_write_number(uint8_t *out, uint64_t number)
{
    sl_assert(out != NULL);
    uint8_t digits[SL_HTTP1_NUMBER_MAX];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (uint8_t)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    size_t size = sizeof(digits) - at;
    memcpy(out, digits + at, size);
    return size;
}

size_t sl_http1_write_content_length(uint8_t *out, size_t out_size, uint64_t length)
{
    static const char name[] = "Content-Length: ";
    enum { NAME_SIZE = sizeof(name) - 1 };
    sl_assert(out != NULL);
    if (out_size < NAME_SIZE + SL_HTTP1_NUMBER_MAX + 2) return 0;
    memcpy(out, name, NAME_SIZE);
    size_t size = NAME_SIZE + sl_http1_write_number(out + NAME_SIZE, length);
    memcpy(out + size, "\r\n", 2);
    return size + 2;
}

size_t sl_http1_write_chunk_head(uint8_t *out, size_t out_size, uint64_t length)
{
    sl_assert(out != NULL);
    uint8_t digits[16];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (uint8_t) "0123456789abcdef"[length % 16];
        length /= 16;
    } while (length > 0);
    size_t size = sizeof(digits) - at;
    if (size + 2 > out_size) return 0;
    memcpy(out, digits + at, size);
    memcpy(out + size, "\r\n", 2);
    return size + 2;
}

static void write_two(uint8_t *out, int64_t number)
{
    out[0] = (uint8_t)('0' + number / 10);
    out[1] = (uint8_t)('0' + number % 10);
}

/*
 * IMF-fixdate, RFC 9110 section 5.6.7. Days to civil date: Howard Hinnant, "chrono-compatible
 * low-level date algorithms".
 */
static void format_date(uint8_t *line, int64_t second)
{
    static const char days[] = "ThuFriSatSunMonTueWed";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int64_t day = second / 86400;
    int64_t rest = second % 86400;
    int64_t shifted = day + 719468;
    int64_t era = shifted / 146097;
    int64_t doe = shifted - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    int64_t month = mp < 10 ? mp + 3 : mp - 9;
    int64_t year = yoe + era * 400 + (month <= 2);
    memcpy(line, "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n", SL_HTTP1_DATE_SIZE);
    memcpy(line + 6, days + day % 7 * 3, 3);
    write_two(line + 11, doy - (153 * mp + 2) / 5 + 1);
    memcpy(line + 14, months + (month - 1) * 3, 3);
    write_two(line + 18, year / 100);
    write_two(line + 20, year % 100);
    write_two(line + 23, rest / 3600);
    write_two(line + 26, rest / 60 % 60);
    write_two(line + 29, rest % 60);
}

const uint8_t *sl_http1_date_line(struct sl_http1_date *date, int64_t second)
{
    sl_assert(date != NULL);
    if (second < 0) second = 0;
    if (second > INT64_C(253402300799)) second = INT64_C(253402300799); /* end of year 9999 */
    if (!date->is_set || date->second != second) {
        format_date(date->line, second);
        date->second = second;
        date->is_set = true;
    }
    return date->line;
}
