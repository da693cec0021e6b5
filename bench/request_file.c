/* SPDX-License-Identifier: MIT */
/*
 * Request files: a line for each kind of request, with its weight. Words are split at blanks;
 * double quotes hold blanks together. Described at sl_requests_load.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench/target.h"
#include "core/base/assertion.h"

enum { WORDS_MAX = 64 };

/* Split a line in place. Returns the number of words, or -1 for an open quote or too many. */
static int words_split(char *line, char **words)
{
    int count = 0;
    char *read = line;
    for (;;) {
        read += strspn(read, " \t\r");
        if (*read == '\0' || *read == '#') return count;
        if (count == WORDS_MAX) return -1;
        char *write = read;
        words[count++] = write;
        bool quoted = false;
        for (; *read != '\0' && (quoted || strchr(" \t\r", *read) == NULL); read++) {
            if (*read == '"') {
                quoted = !quoted;
            } else {
                if (*read == '\\' && quoted && read[1] != '\0') read++;
                *write++ = *read;
            }
        }
        if (quoted) return -1;
        if (*read != '\0') read++;
        *write = '\0';
    }
}

struct line_parts {
    struct sl_request_parts parts;
    const char *headers[WORDS_MAX * 2];
    uint8_t *body_owned; /* from a file; freed by the caller */
};

static int word_apply(struct line_parts *line, char *word, struct sl_diag *reterr)
{
    struct sl_pos none = {0, 0};
    if (strncmp(word, "body=@", 6) == 0) {
        int err = sl_bench_file_read(word + 6, &line->body_owned, &line->parts.body_size, reterr);
        line->parts.body = line->body_owned;
        return err;
    }
    if (strncmp(word, "body=", 5) == 0) {
        line->parts.body = (const uint8_t *)word + 5;
        line->parts.body_size = strlen(word + 5);
        return 0;
    }
    if (strncmp(word, "header=", 7) == 0) {
        if (line->parts.headers_count >= WORDS_MAX * 2) {
            return sl_diag_set(reterr, "bad_request_file", none, "too many headers");
        }
        line->headers[line->parts.headers_count++] = word + 7;
        return 0;
    }
    int err = sl_diag_set(reterr, "bad_request_file", none, "unknown word \"%s\"", word);
    sl_diag_hint(reterr, "a line is: WEIGHT METHOD /path [body=TEXT|body=@FILE] [header=\"N: v\"]");
    return err;
}

static int line_push(struct sl_requests *requests, char **words, int words_count,
                     const struct sl_request_parts *defaults, struct sl_diag *reterr)
{
    struct sl_pos none = {0, 0};
    char *stop = NULL;
    unsigned long weight = words_count >= 3 ? strtoul(words[0], &stop, 10) : 0;
    if (words_count < 3 || *stop != '\0' || weight < 1 || weight > 1000000 || words[2][0] != '/') {
        int err = sl_diag_set(reterr, "bad_request_file", none,
                              "a line begins with a weight from 1, a method and a /path");
        sl_diag_hint(reterr, "example: 3 GET /ping");
        return err;
    }
    struct line_parts line = {.parts = *defaults};
    line.parts.weight = (uint32_t)weight;
    line.parts.method = words[1];
    line.parts.target = words[2];
    line.parts.body = NULL;
    line.parts.body_size = 0;
    line.parts.headers = line.headers;
    sl_assert(defaults->headers_count <= WORDS_MAX);
    for (size_t i = 0; i < defaults->headers_count; i++) line.headers[i] = defaults->headers[i];
    int err = 0;
    for (int i = 3; i < words_count && err == 0; i++) err = word_apply(&line, words[i], reterr);
    if (err == 0) err = sl_requests_push(requests, &line.parts, reterr);
    free(line.body_owned);
    return err;
}

int sl_requests_load(struct sl_requests *requests, const char *path,
                     const struct sl_request_parts *defaults, struct sl_diag *reterr)
{
    sl_assert(path != NULL);
    uint8_t *data;
    size_t size;
    int err = sl_bench_file_read(path, &data, &size, reterr);
    if (err < 0) return err;
    uint32_t line_number = 0;
    uint32_t before = requests->count;
    char *next = (char *)data;
    while (err == 0 && next != NULL) {
        char *line = strsep(&next, "\n");
        char *words[WORDS_MAX];
        line_number++;
        int count = words_split(line, words);
        if (count == 0) continue;
        struct sl_pos pos = {line_number, 1};
        err = count < 0 ? sl_diag_set(reterr, "bad_request_file", pos, "an open quote")
                        : line_push(requests, words, count, defaults, reterr);
        if (err < 0 && reterr != NULL) reterr->pos = pos;
    }
    if (err == 0 && requests->count == before) {
        err = sl_diag_set(reterr, "bad_request_file", (struct sl_pos){0, 0}, "no request in it");
    }
    if (err < 0) sl_diag_file(reterr, path);
    free(data);
    return err;
}
