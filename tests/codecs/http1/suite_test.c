/* SPDX-License-Identifier: MIT */
/*
 * The public suites against the parser, each input at every split point:
 *
 *   llhttp-*.json  what llhttp refuses we refuse; what it accepts we accept with the same body,
 *                  but for the cases listed here, where we are stricter on purpose
 *   probe.json     what may not be answered with 2xx is refused; what must be is accepted
 *   corpus/http1   any bytes: no crash, and no cut changes the result
 *
 * The folder comes from SLUICE_SUITES; without it the test is skipped (77).
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/json/json.h"
#include "core/base/assertion.h"
#include "core/mem/mem.h"
#include "tests/codecs/http1/stream.h"

enum { FILE_SIZE_MAX = 8 * 1024 * 1024, INPUT_MAX = 128 * 1024, MESSAGES_MAX = 64 };

static struct {
    unsigned held;
    unsigned stricter;
    unsigned skipped;
    unsigned wrong;
} counts;

/* Accepted by llhttp and refused here: title, then our reason. */
static const char *const stricter[][2] = {
    {"`Content-Length` with zeroes", "leading zeros"},
    {"`Content-Length` with follow-up headers", "leading zeros"},
    {"M-SEARCH request", "target * belongs to OPTIONS"},
    {"Quotes in URI", "not allowed in the request line"},
    {"Fragment in URI", "not allowed in the request line"},
    {"`chunked` as last transfer-encoding", "not allowed in the request line"}, /* #hey */
    {"PRI request HTTP2", "target * belongs to OPTIONS"},
    {"No HTTP version", "not allowed in the request line"},
    {"`host:port` and basic auth", "malformed host in the target"},
    {"Host terminated by a query string", "Host differs"},
    {"`host:port` terminated", "Host differs"},
    {"Underscore in hostname", "Host"},
    {"RTSP", ""},
    {"ICE", ""},
    {"HTTP version 0.9", ""},
    {"`chunked` before other transfer-encoding", "does not end in one chunked"},
    {"chunked is not the last one", "several Transfer-Encoding"},
    {"`chunkedchunked` transfer-encoding", "does not end in one chunked"},
    {"CRLF between requests, implicit", ""},
    {"Spaces in header value", ""},
};

/*
 * Refused by llhttp and not by the parser: a method is the server's matter, and fields are judged
 * together when the head is complete, which it is not in these inputs.
 */
static const char *const not_yet[] = {
    "Invalid method",
    "Error on `Content-Length` overflow",
    "Error on duplicate `Content-Length`",
};

static uint8_t *read_file(const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) return NULL;
    uint8_t *data = malloc(FILE_SIZE_MAX);
    sl_assert(data != NULL);
    *ret_size = fread(data, 1, FILE_SIZE_MAX, file);
    (void)fclose(file);
    return data;
}

static size_t base64_read(struct sl_slice text, uint8_t *out)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0;
    unsigned count = 0;
    size_t size = 0;
    for (size_t i = 0; i < text.size && text.data[i] != '='; i++) {
        const char *at = strchr(letters, text.data[i]);
        sl_assert(at != NULL);
        bits = bits << 6 | (uint32_t)(at - letters);
        if ((count += 6) < 8) continue;
        count -= 8;
        sl_assert(size < INPUT_MAX);
        out[size++] = (uint8_t)(bits >> count);
    }
    return size;
}

static bool is_true(struct sl_value map, const char *key)
{
    struct sl_value value = sl_value_get_str(map, key);
    return sl_value_is(value, SL_VALUE_BOOL) && value.cell->word != 0;
}

/* What llhttp said. */
struct expected {
    bool error;
    bool pause; /* upgrade: what follows is not HTTP */
    size_t error_at;
    uint8_t body[INPUT_MAX];
    size_t body_size;
};

static void expected_read(struct sl_value events, const uint8_t *input, struct expected *ret)
{
    memset(ret, 0, offsetof(struct expected, body));
    ret->body_size = 0;
    struct sl_slice rest = sl_value_slice(events);
    while (rest.size > 0) {
        char line[4096];
        unsigned off;
        unsigned len;
        const uint8_t *end = memchr(rest.data, '\n', rest.size);
        size_t line_size = end != NULL ? (size_t)(end - rest.data) : rest.size;
        snprintf(line, sizeof(line), "%.*s", (int)line_size, (const char *)rest.data);
        rest.data += line_size + (end != NULL);
        rest.size -= line_size + (end != NULL);
        if (sscanf(line, "off=%u len=%u span[body]", &off, &len) == 2 &&
            strstr(line, "span[body]")) {
            memcpy(ret->body + ret->body_size, input + off, len);
            ret->body_size += len;
        }
        if (strstr(line, "error code=") == NULL) continue;
        (void)sscanf(line, "off=%u", &off);
        ret->error_at = off;
        if (strstr(line, "Pause on"))
            ret->pause = true;
        else
            ret->error = true;
    }
}

/*
 * The inputs are older than the rule that Host has to be there: put one into each request that
 * is refused for lack of it.
 */
static size_t feed_with_host(struct stream *stream, uint8_t *input, size_t size)
{
    for (int i = 0; i < MESSAGES_MAX; i++) {
        stream_init(stream, false);
        stream_feed(stream, input, size);
        if (stream->reason == NULL || strcmp(stream->reason, "no Host field") != 0) break;
        size_t at = stream->at;
        while (input[at] == '\r' || input[at] == '\n') at++;
        uint8_t *end = memmem(input + at, size - at, "\r\n", 2);
        sl_assert(end != NULL);
        static const char host[] = "\r\nHost: example.com";
        memmove(end + sizeof(host) - 1, end, size - (size_t)(end - input));
        memcpy(end, host, sizeof(host) - 1);
        size += sizeof(host) - 1;
        stream_fini(stream);
    }
    return size;
}

static bool is_listed(const char *title, const char *reason)
{
    for (size_t i = 0; i < sizeof(stricter) / sizeof(stricter[0]); i++) {
        if (strstr(title, stricter[i][0]) && strstr(reason ? reason : "", stricter[i][1])) {
            return true;
        }
    }
    return false;
}

/* NULL if it holds, else what is wrong. */
static const char *judge(const struct stream *stream, const struct expected *expected,
                         const uint8_t *input, size_t size, const char *title)
{
    bool refused = stream->phase == 5;
    if (expected->error && !refused) {
        bool is_over = stream->phase == 4;
        bool has_end = memchr(input + expected->error_at, '\n', size - expected->error_at) != NULL;
        if (is_over || !has_end) return NULL;
        for (size_t i = 0; i < sizeof(not_yet) / sizeof(not_yet[0]); i++) {
            if (strcmp(title, not_yet[i]) == 0) return NULL;
        }
        return "accepted, but llhttp refuses";
    }
    if (!expected->error && refused) {
        if (expected->pause && stream->heads_count > 0) return NULL;
        if (is_listed(title, stream->reason)) {
            counts.stricter++;
            return NULL;
        }
        return "refused, but llhttp accepts";
    }
    if (expected->error || expected->pause) return NULL;
    if (stream->body_size != expected->body_size ||
        (expected->body_size > 0 &&
         memcmp(stream->body, expected->body, expected->body_size) != 0)) {
        return "another body";
    }
    return NULL;
}

static void check_llhttp(struct sl_value block)
{
    static uint8_t input[INPUT_MAX];
    static uint8_t original[INPUT_MAX];
    static struct expected expected;
    char title[512];
    snprintf(title, sizeof(title), "%.*s",
             SL_SLICE_FMT(sl_value_slice(sl_value_get_str(block, "title"))));
    struct sl_value flags = sl_value_get_str(block, "flags");
    bool is_lenient = sl_value_count(flags) > 0 &&
                      !sl_slice_eq_str(sl_value_slice(sl_value_list_at(flags, 0)), "finish");
    if (is_lenient || is_true(block, "skip_body")) {
        counts.skipped++;
        return;
    }
    size_t size = base64_read(sl_value_slice(sl_value_get_str(block, "input_base64")), input);
    memcpy(original, input, size);
    expected_read(sl_value_get_str(block, "expected_events"), original, &expected);
    struct stream stream;
    size_t original_size = size;
    if (sl_slice_eq_str(sl_value_slice(sl_value_get_str(block, "mode")), "response")) {
        stream_init(&stream, true);
        stream_feed(&stream, input, size);
    } else {
        size = feed_with_host(&stream, input, size);
    }
    const char *wrong = judge(&stream, &expected, original, original_size, title);
    if (wrong == NULL && !stream_all_cuts_same(&stream, input, size)) wrong = "cuts differ";
    if (wrong != NULL) {
        printf("WRONG %s: %s (%d %s; body %zu, expected %zu)\n", title, wrong, stream.status,
               stream.reason ? stream.reason : "", stream.body_size, expected.body_size);
        counts.wrong++;
    } else {
        counts.held++;
    }
    stream_fini(&stream);
}

/* True if `status` is among the ranges that a table has under `verdict`. */
static bool has_status(struct sl_value table, const char *verdict, int status)
{
    struct sl_value ranges = sl_value_get_str(table, verdict);
    for (uint32_t i = 0; ranges.cell != NULL && i < sl_value_count(ranges); i++) {
        struct sl_value range = sl_value_list_at(ranges, i);
        if (sl_value_list_at(range, 0).cell->i64 <= status &&
            sl_value_list_at(range, 1).cell->i64 >= status) {
            return true;
        }
    }
    return false;
}

static bool is_allowed(struct sl_value table, int status)
{
    return has_status(table, "pass", status) || has_status(table, "warn", status) ||
           has_status(table, "depends", status);
}

/* Only cases of one request that have a table. */
static void check_probe(struct sl_value probe)
{
    static uint8_t input[INPUT_MAX];
    struct sl_value id = sl_value_get_str(probe, "id");
    struct sl_value table = sl_value_get_str(sl_value_get_str(probe, "expect"), "table");
    struct sl_value text = sl_value_get_str(probe, "request_base64");
    if (table.cell == NULL || text.cell == NULL) {
        counts.skipped++;
        return;
    }
    size_t size = base64_read(sl_value_slice(text), input);
    struct stream stream;
    stream_init(&stream, false);
    stream_feed(&stream, input, size);
    const char *wrong = NULL;
    /* Methods and lengths that are well-formed are refused by the server, not by the parser. */
    bool by_server = sl_slice_eq_str(sl_value_slice(id), "COMP-METHOD-CONNECT") ||
                     sl_slice_eq_str(sl_value_slice(id), "COMP-UNKNOWN-METHOD");
    if (stream.messages_count > 0 && !is_allowed(table, 200) && !is_allowed(table, 204) &&
        has_status(table, "pass", 400) && !by_server) {
        wrong = "accepted";
    }
    if (stream.phase == 5 && !is_allowed(table, stream.status)) wrong = "refused";
    if (wrong == NULL && size < 4096 && !stream_all_cuts_same(&stream, input, size)) {
        wrong = "cuts differ";
    }
    if (wrong != NULL) {
        printf("WRONG %.*s: %s\n", SL_SLICE_FMT(sl_value_slice(id)), wrong);
        counts.wrong++;
    } else {
        counts.held++;
    }
    stream_fini(&stream);
}

static void check_list(struct sl_mem *mem, const char *path, void (*check)(struct sl_value))
{
    size_t size;
    uint8_t *data = read_file(path, &size);
    struct sl_value list;
    sl_assert(data != NULL);
    sl_assert(sl_json_parse(sl_slice_make(data, size), NULL, mem, 0, &list, NULL) == 0);
    free(data);
    for (uint32_t i = 0; i < sl_value_count(list); i++) check(sl_value_list_at(list, i));
    sl_value_unref(list);
}

static void check_corpus(const char *path)
{
    size_t size;
    uint8_t *data = read_file(path, &size);
    struct stream stream;
    sl_assert(data != NULL);
    stream_init(&stream, false);
    stream_feed(&stream, data, size);
    bool is_same = size > 2048 ? stream_cut_is_same(&stream, data, size, size / 2, 0)
                               : stream_all_cuts_same(&stream, data, size);
    if (is_same) {
        counts.held++;
    } else {
        printf("WRONG %s: cuts differ\n", path);
        counts.wrong++;
    }
    stream_fini(&stream);
    free(data);
}

static void report(const char *name)
{
    printf("%s: %u held (%u of them stricter on purpose), %u skipped, %u wrong\n", name,
           counts.held, counts.stricter, counts.skipped, counts.wrong);
}

int main(void)
{
    const char *suites = getenv("SLUICE_SUITES");
    char path[4096];
    unsigned wrong = 0;
    snprintf(path, sizeof(path), "%s/http1", suites != NULL ? suites : "");
    DIR *dir = suites != NULL ? opendir(path) : NULL;
    if (dir == NULL) {
        puts("skipped: SLUICE_SUITES names no folder with http1/");
        return 77;
    }
    struct sl_mem *mem = sl_mem_new(256 * 1024 * 1024);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strncmp(entry->d_name, "llhttp-", 7) != 0) continue;
        snprintf(path, sizeof(path), "%s/http1/%s", suites, entry->d_name);
        check_list(mem, path, check_llhttp);
    }
    (void)closedir(dir);
    report("llhttp");
    wrong += counts.wrong;
    memset(&counts, 0, sizeof(counts));
    snprintf(path, sizeof(path), "%s/http1/probe.json", suites);
    check_list(mem, path, check_probe);
    report("probe");
    wrong += counts.wrong;
    memset(&counts, 0, sizeof(counts));
    snprintf(path, sizeof(path), "%s/corpus/http1", suites);
    dir = opendir(path);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof(path), "%s/corpus/http1/%s", suites, entry->d_name);
        check_corpus(path);
    }
    if (dir != NULL) (void)closedir(dir);
    report("corpus");
    wrong += counts.wrong;
    (void)sl_mem_free(mem);
    return wrong > 0;
}
