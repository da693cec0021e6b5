/* SPDX-License-Identifier: MIT */
/* Encoding, decoding, and log lines; see hdr_log.h. */
#include "bench/hdr_log.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <zlib.h>

#include "bench/target.h"
#include "core/base/assertion.h"

enum {
    COOKIE_V2 = 0x1c849303 | 0x10,
    COOKIE_V2_COMPRESSED = 0x1c849304 | 0x10,
    HEADER_SIZE = 40,
    VARINT_SIZE_MAX = 9,
    PAYLOAD_SIZE_MAX = 64 * 1024 * 1024,
};

static const char BASE64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* ---- bytes ---- */

static void be32_put(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static void be64_put(uint8_t *at, uint64_t value)
{
    be32_put(at, (uint32_t)(value >> 32));
    be32_put(at + 4, (uint32_t)value);
}

static uint32_t be32_get(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint64_t be64_get(const uint8_t *at)
{
    return (uint64_t)be32_get(at) << 32 | be32_get(at + 4);
}

/* ZigZag, seven bits a byte, the ninth byte whole. */
static size_t varint_put(uint8_t *at, int64_t value)
{
    uint64_t bits = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
    size_t size = 0;
    while (size < VARINT_SIZE_MAX - 1 && bits >> 7 != 0) {
        at[size++] = (uint8_t)(bits | 0x80);
        bits >>= 7;
    }
    at[size++] = (uint8_t)bits;
    return size;
}

/* Returns the bytes used, or 0 if they end too early. */
static size_t varint_get(const uint8_t *at, size_t size, int64_t *ret_value)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < size && i < VARINT_SIZE_MAX; i++) {
        bool is_last = i == VARINT_SIZE_MAX - 1;
        bits |= (uint64_t)(is_last ? at[i] : at[i] & 0x7f) << (7 * i);
        if (!is_last && (at[i] & 0x80) != 0) continue;
        *ret_value = (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1);
        return i + 1;
    }
    return 0;
}

static char *base64_encode(const uint8_t *data, size_t size)
{
    char *text = malloc((size + 2) / 3 * 4 + 1);
    if (text == NULL) return NULL;
    size_t used = 0;
    for (size_t i = 0; i < size; i += 3) {
        uint32_t left = (uint32_t)(size - i);
        uint32_t bits = (uint32_t)data[i] << 16;
        if (left > 1) bits |= (uint32_t)data[i + 1] << 8;
        if (left > 2) bits |= data[i + 2];
        text[used++] = BASE64[bits >> 18 & 63];
        text[used++] = BASE64[bits >> 12 & 63];
        text[used++] = left > 1 ? BASE64[bits >> 6 & 63] : '=';
        text[used++] = left > 2 ? BASE64[bits & 63] : '=';
    }
    text[used] = '\0';
    return text;
}

/* Into `data` of at least size / 4 * 3 bytes. Returns bytes, or -EINVAL. */
static ssize_t base64_decode(const char *text, size_t size, uint8_t *data)
{
    size_t used = 0;
    if (size == 0 || size % 4 != 0) return -EINVAL;
    for (size_t i = 0; i < size; i += 4) {
        uint32_t bits = 0;
        int pads = 0;
        for (size_t j = 0; j < 4; j++) {
            char c = text[i + j];
            const char *digit = c != '\0' ? strchr(BASE64, c) : NULL;
            bool is_pad = c == '=' && i + 4 == size && j >= 2;
            if (digit == NULL && !is_pad) return -EINVAL;
            if (digit != NULL && pads > 0) return -EINVAL;
            pads += is_pad;
            bits = bits << 6 | (digit != NULL ? (uint32_t)(digit - BASE64) : 0);
        }
        data[used++] = (uint8_t)(bits >> 16);
        if (pads < 2) data[used++] = (uint8_t)(bits >> 8);
        if (pads < 1) data[used++] = (uint8_t)bits;
    }
    return (ssize_t)used;
}

/* ---- histograms ---- */

/* The uncompressed form. Returns its bytes, freed by the caller, or NULL. */
static uint8_t *plain_encode(const struct sl_hdr *hdr, size_t *ret_size)
{
    /* Another tool may have counted in steps beyond its highest value. */
    uint32_t limit = hdr->counts_count;
    while (limit > 0 && hdr->counts[limit - 1] == 0) limit--;
    uint8_t *data = malloc(HEADER_SIZE + (size_t)limit * VARINT_SIZE_MAX);
    if (data == NULL) return NULL;
    size_t size = HEADER_SIZE;
    for (uint32_t i = 0; i < limit;) {
        int64_t zeros = 0;
        while (i < limit && hdr->counts[i] == 0) {
            zeros++;
            i++;
        }
        if (zeros > 0) size += varint_put(data + size, zeros > 1 ? -zeros : 0);
        if (i < limit) size += varint_put(data + size, (int64_t)hdr->counts[i++]);
    }
    be32_put(data, COOKIE_V2);
    be32_put(data + 4, (uint32_t)(size - HEADER_SIZE));
    be32_put(data + 8, 0); /* normalizing index offset */
    be32_put(data + 12, hdr->digits);
    be64_put(data + 16, hdr->lowest);
    be64_put(data + 24, hdr->highest);
    double ratio = 1.0;
    uint64_t ratio_bits;
    memcpy(&ratio_bits, &ratio, sizeof(ratio_bits));
    be64_put(data + 32, ratio_bits);
    *ret_size = size;
    return data;
}

char *sl_hdr_encode(const struct sl_hdr *hdr)
{
    sl_assert(hdr != NULL);
    size_t plain_size;
    uint8_t *plain = plain_encode(hdr, &plain_size);
    if (plain == NULL) return NULL;
    uLongf packed_size = compressBound((uLong)plain_size);
    uint8_t *packed = malloc(packed_size + 8);
    char *text = NULL;
    if (packed != NULL && compress(packed + 8, &packed_size, plain, (uLong)plain_size) == Z_OK) {
        be32_put(packed, COOKIE_V2_COMPRESSED);
        be32_put(packed + 4, (uint32_t)packed_size);
        text = base64_encode(packed, packed_size + 8);
    }
    free(packed);
    free(plain);
    return text;
}

static int counts_decode(struct sl_hdr *hdr, const uint8_t *data, size_t size)
{
    uint64_t index = 0;
    for (size_t at = 0; at < size;) {
        int64_t value;
        size_t used = varint_get(data + at, size - at, &value);
        if (used == 0 || value == INT64_MIN) return -EINVAL;
        at += used;
        if (value < 0) {
            /* A run of zeros; compared before adding, so that it cannot wrap. */
            if ((uint64_t)-value > hdr->counts_count - index) return -EINVAL;
            index += (uint64_t)-value;
            continue;
        }
        if (index >= hdr->counts_count) return -EINVAL;
        sl_hdr_set_count(hdr, (uint32_t)index++, (uint64_t)value);
    }
    sl_hdr_recount(hdr);
    return 0;
}

static int plain_decode(const uint8_t *data, size_t size, struct sl_hdr **ret_hdr)
{
    if (size < HEADER_SIZE || be32_get(data) != COOKIE_V2) return -EINVAL;
    uint32_t payload_size = be32_get(data + 4);
    uint32_t digits = be32_get(data + 12);
    uint64_t lowest = be64_get(data + 16);
    uint64_t highest = be64_get(data + 24);
    if (payload_size > size - HEADER_SIZE || be32_get(data + 8) != 0) return -EINVAL;
    if (highest > INT64_MAX / 2 || lowest > highest) return -EINVAL;
    struct sl_hdr *hdr = sl_hdr_new(lowest, highest, digits);
    if (hdr == NULL) return -EINVAL;
    int err = counts_decode(hdr, data + HEADER_SIZE, payload_size);
    if (err < 0) {
        sl_hdr_free(hdr);
        return err;
    }
    *ret_hdr = hdr;
    return 0;
}

/* Unpack into a block that grows to a limit. Freed by the caller; NULL on failure. */
static uint8_t *unpack(const uint8_t *data, size_t size, size_t *ret_size)
{
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)data, .avail_in = (uInt)size};
    uint8_t *plain = NULL;
    size_t cap = 0;
    int code = inflateInit(&stream);
    if (code != Z_OK) return NULL;
    while (code == Z_OK && cap < PAYLOAD_SIZE_MAX) {
        size_t more = cap == 0 ? 65536 : cap * 2;
        uint8_t *grown = realloc(plain, more);
        if (grown == NULL) break;
        plain = grown;
        stream.next_out = plain + stream.total_out;
        stream.avail_out = (uInt)(more - stream.total_out);
        cap = more;
        code = inflate(&stream, Z_NO_FLUSH);
    }
    *ret_size = stream.total_out;
    (void)inflateEnd(&stream);
    if (code == Z_STREAM_END) return plain;
    free(plain);
    return NULL;
}

int sl_hdr_decode(const char *text, size_t size, struct sl_hdr **ret_hdr)
{
    sl_assert(ret_hdr != NULL);
    uint8_t *data = malloc(size / 4 * 3 + 4);
    if (data == NULL) return -ENOMEM;
    ssize_t got = base64_decode(text, size, data);
    int err = -EINVAL;
    if (got >= 8 && be32_get(data) == COOKIE_V2_COMPRESSED) {
        size_t packed_size = be32_get(data + 4);
        size_t plain_size = 0;
        uint8_t *plain =
            packed_size <= (size_t)got - 8 ? unpack(data + 8, packed_size, &plain_size) : NULL;
        if (plain != NULL) err = plain_decode(plain, plain_size, ret_hdr);
        free(plain);
    } else if (got > 0) {
        err = plain_decode(data, (size_t)got, ret_hdr);
    }
    free(data);
    return err;
}

/* ---- logs ---- */

void sl_hdr_log_begin(FILE *out, double started_s)
{
    char date[64];
    struct tm tm;
    time_t seconds = (time_t)started_s;
    (void)gmtime_r(&seconds, &tm);
    (void)strftime(date, sizeof(date), "%a %b %d %H:%M:%S UTC %Y", &tm);
    (void)fprintf(out, "#[Histogram log format version 1.3]\n");
    (void)fprintf(out, "#[StartTime: %.3f (seconds since epoch), %s]\n", started_s, date);
}

void sl_hdr_log_figure(FILE *out, const char *name, double value)
{
    (void)fprintf(out, "#[sluice-bench %s=%.17g]\n", name, value);
}

void sl_hdr_log_titles(FILE *out)
{
    (void)fprintf(out, "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\","
                       "\"Interval_Compressed_Histogram\"\n");
}

int sl_hdr_log_write(FILE *out, const char *tag, double start_s, double length_s,
                     const struct sl_hdr *hdr)
{
    char *text = sl_hdr_encode(hdr);
    if (text == NULL) return -ENOMEM;
    if (tag != NULL) (void)fprintf(out, "Tag=%s,", tag);
    (void)fprintf(out, "%.3f,%.3f,%.3f,%s\n", start_s, length_s, (double)hdr->max / 1e6, text);
    free(text);
    return 0;
}

static void figure_read(const char *line, const struct sl_hdr_log_sink *sink)
{
    char name[64];
    double value;
    if (sink->figure == NULL) return;
    if (sscanf(line, "#[sluice-bench %63[a-z0-9_]=%lf]", name, &value) != 2) return;
    sink->figure(sink->ctx, name, value);
}

/* One line of figures: [Tag=…,]start,length,max,histogram. */
static int line_read(char *line, const struct sl_hdr_log_sink *sink)
{
    const char *tag = "";
    if (strncmp(line, "Tag=", 4) == 0) {
        tag = line + 4;
        line = strchr(line, ',');
        if (line == NULL) return -EINVAL;
        *line++ = '\0';
    }
    char *stop;
    double start = strtod(line, &stop);
    if (stop == line || *stop != ',') return -EINVAL;
    line = stop + 1;
    double length = strtod(line, &stop);
    if (stop == line || *stop != ',') return -EINVAL;
    char *text = strchr(stop + 1, ',');
    if (text == NULL) return -EINVAL;
    text++;
    struct sl_hdr *hdr;
    int err = sl_hdr_decode(text, strcspn(text, "\r\n"), &hdr);
    if (err < 0) return err;
    if (sink->line != NULL) sink->line(sink->ctx, tag, start, length, hdr);
    sl_hdr_free(hdr);
    return 0;
}

int sl_hdr_log_read(const char *path, const struct sl_hdr_log_sink *sink, struct sl_diag *reterr)
{
    uint8_t *data;
    size_t size;
    int err = sl_bench_file_read(path, &data, &size, reterr);
    if (err < 0) return err;
    uint32_t number = 0;
    char *next = (char *)data;
    while (err == 0 && next != NULL) {
        char *line = strsep(&next, "\n");
        number++;
        if (line[0] == '#') figure_read(line, sink);
        if (line[0] == '\0' || line[0] == '\r' || line[0] == '#' || line[0] == '"') continue;
        err = line_read(line, sink);
        if (err < 0) {
            (void)sl_diag_set(reterr, "bad_log", (struct sl_pos){number, 1},
                              "not a line of a histogram log");
            sl_diag_file(reterr, path);
        }
    }
    free(data);
    return err;
}
