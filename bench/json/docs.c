/* SPDX-License-Identifier: MIT */
#include "bench/json/docs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"

struct text {
    char *data;
    size_t size;
};

static void put(struct text *text, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void put(struct text *text, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int size = vsnprintf(text->data + text->size, DOC_SIZE_MAX - text->size, fmt, args);
    va_end(args);
    sl_assert(size >= 0);
    text->size += (size_t)size;
    sl_assert(text->size < DOC_SIZE_MAX - DOC_PADDING);
}

static const char *const words[] = {
    "sluice", "gateway", "request",  "order", "payment",
    "north",  "blue",    "workflow", "seven", "a longer piece of prose here"};

static void put_item(struct text *text, unsigned n)
{
    put(text, "{\"sku\":\"A-%u\",\"quantity\":%u,\"price\":%u.%02u,\"name\":\"%s\"}",
        n * 7919 % 100000, n % 9 + 1, n * 31 % 500, n * 17 % 100, words[n % 10]);
}

/* An order as it is posted to a web service, with so many lines. */
static void make_order(struct text *text, unsigned items)
{
    put(text,
        "{\"id\":\"0f8fad5b-d9cb-469f-a165-70867728950e\",\"user\":{\"id\":%u,\"name\":\"Jane "
        "Doe\","
        "\"email\":\"jane@example.org\",\"verified\":true},\"note\":null,\"items\":[",
        128301);
    for (unsigned i = 0; i < items; i++) {
        if (i > 0) put(text, ",");
        put_item(text, i);
    }
    put(text, "],\"total\":%u.5}", 12 * items);
}

static void make_tiny(struct text *text, unsigned unused)
{
    (void)unused;
    put(text,
        "{\"id\":12345,\"name\":\"ping\",\"active\":true,\"tags\":[\"a\",\"b\"],\"score\":0.75}");
}

static void make_echo(struct text *text, unsigned unused)
{
    (void)unused;
    put(text, "{\"user\":{\"name\":\"Jane "
              "Doe\",\"age\":42,\"email\":\"jane@example.org\"},\"method\":\"POST\","
              "\"count\":17,\"items\":[1,2,3,4],\"message\":\"hello, world: this is a "
              "test\",\"ok\":true}");
}

/* Posts with prose in several scripts, long records of many keys, pretty-printed. */
static void make_posts(struct text *text, unsigned count)
{
    put(text, "{\n  \"statuses\": [\n");
    for (unsigned i = 0; i < count; i++) {
        put(text, "    {\n      \"created_at\": \"Sun Aug 31 00:29:%02u +0000 2014\",\n", i % 60);
        put(text, "      \"id\": %" PRIu64 ",\n      \"id_str\": \"%" PRIu64 "\",\n",
            UINT64_C(505874924095815681) + i, UINT64_C(505874924095815681) + i);
        put(text,
            "      \"text\": \"@%s %s\\n\\n\xe5\x90\x8d\xe5\x89\x8d:\xe5\x89\x8d\xe7\x94\xb0"
            "\xe3\x81\x82\xe3\x82\x86\xe3\x81\xbf\\n\xe7\xac\xac\xe4\xb8\x80\xe5\x8d\xb0\xe8\xb1"
            "\xa1:"
            "\xe3\x81\xaa\xe3\x82\x93\xe3\x81\x8b\xe6\x80\x96\xe3\x81\xa3\\u3001\",\n",
            words[i % 10], words[i % 7]);
        put(text, "      \"truncated\": false,\n      \"user\": {\n");
        for (unsigned key = 0; key < 30; key++) {
            put(text, "        \"profile_%s_%u\": ", words[key % 9], key);
            if (key % 4 == 0) put(text, "null,\n");
            if (key % 4 == 1)
                put(text, "\"http://abs.example.com/images/themes/theme%u/bg.png\",\n", key);
            if (key % 4 == 2) put(text, "false,\n");
            if (key % 4 == 3) put(text, "%u,\n", i * key);
        }
        put(text, "        \"lang\": \"ja\"\n      },\n      \"retweet_count\": %u\n    }%s\n", i,
            i + 1 < count ? "," : "");
    }
    put(text, "  ]\n}\n");
}

static void make_orders(struct text *text, unsigned count)
{
    put(text, "[");
    for (unsigned i = 0; i < count; i++) {
        if (i > 0) put(text, ",");
        make_order(text, i % 12);
    }
    put(text, "]");
}

static void make_coordinates(struct text *text, unsigned count)
{
    uint64_t state = 1;
    put(text, "{\"type\":\"Polygon\",\"coordinates\":[");
    for (unsigned i = 0; i < count; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        put(text, "%s[-%u.%06" PRIu64 "%09" PRIu64 ",%u.%06" PRIu64 "%08" PRIu64 "]",
            i > 0 ? "," : "", i % 180, state >> 45, state >> 20 & 0x1ffffff, i % 90,
            state >> 44 & 0x7ffff, state >> 10 & 0xffffff);
    }
    put(text, "]}");
}

static void make_integers(struct text *text, unsigned count)
{
    put(text, "[");
    for (unsigned i = 0; i < count; i++)
        put(text, "%s%u", i > 0 ? "," : "", i * 2654435761U >> (i % 28));
    put(text, "]");
}

/* A pseudo random number below `limit`: the same ones in every run. */
static unsigned draw(uint64_t *state, unsigned limit)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)((*state >> 33) % limit);
}

/* A record whose fields, order, lengths and numbers differ from text to text. */
static void make_record(struct text *text, unsigned seed)
{
    static const char *const keys[] = {"id",         "name", "created_at", "price",       "tags",
                                       "user_agent", "ok",   "n",          "description", "parent"};
    uint64_t state = seed;
    unsigned fields = 3 + draw(&state, 8) * draw(&state, 6), names = draw(&state, 10);
    put(text, "{");
    for (unsigned i = 0; i < fields; i++) {
        put(text, "%s\"%s", i > 0 ? "," : "", keys[(names + i) % 10]);
        put(text, i >= 10 ? "_%u\":" : "\":", i);
        switch (draw(&state, 8)) {
        case 0: put(text, "%u", draw(&state, 1U << draw(&state, 30))); break;
        case 1: put(text, "%u.%02u", draw(&state, 900), draw(&state, 100)); break;
        case 2: put(text, draw(&state, 2) ? "true" : "false"); break;
        case 3: put(text, "[\"%s\",%u,null]", words[draw(&state, 10)], draw(&state, 99)); break;
        case 4: put(text, "{\"x\":%u,\"y\":-%u}", draw(&state, 9999), draw(&state, 99)); break;
        default: put(text, "\"%.*s\"", (int)draw(&state, 30), "Lorem ipsum dolor sit amet, cons");
        }
    }
    put(text, "}");
}

static const struct {
    const char *name;
    void (*make)(struct text *text, unsigned count);
    unsigned count; /* for `make`; the number of texts, where there are many */
    bool many;
} kinds[] = {
    {"tiny", make_tiny, 0, false},
    {"echo", make_echo, 0, false},
    {"order/3", make_order, 3, false},
    {"order/9", make_order, 9, false},
    {"order/22", make_order, 22, false},
    {"mixed/64", make_record, 64, true},
    {"posts/500k", make_posts, 290, false},
    {"orders/500k", make_orders, 1020, false},
    {"floats/1M", make_coordinates, 28000, false},
    {"ints/650k", make_integers, 100000, false},
};

size_t docs_count(void)
{
    return sizeof(kinds) / sizeof(kinds[0]);
}

const char *docs_name(size_t index)
{
    sl_assert(index < docs_count());
    return kinds[index].name;
}

/* Take over a text as the document's next part. */
static void doc_add(struct doc *doc, struct text text)
{
    sl_assert(doc->count < DOC_PARTS_MAX);
    doc->parts[doc->count++] = (struct doc_part){(uint8_t *)text.data, text.size};
    doc->size += text.size;
    doc->small &= text.size <= DOC_SMALL_MAX;
}

void doc_make(struct doc *doc, size_t index)
{
    sl_assert(doc != NULL);
    sl_assert(index < docs_count());
    *doc = (struct doc){.name = kinds[index].name, .small = true};
    unsigned texts = kinds[index].many ? kinds[index].count : 1;
    for (unsigned i = 0; i < texts; i++) {
        struct text text = {calloc(1, DOC_SIZE_MAX), 0};
        sl_assert(text.data != NULL);
        kinds[index].make(&text, kinds[index].many ? i : kinds[index].count);
        char *data = realloc(text.data, text.size + DOC_PADDING);
        sl_assert(data != NULL);
        text.data = data;
        doc_add(doc, text);
    }
}

int doc_read(struct doc *doc, const char *path)
{
    sl_assert(doc != NULL);
    sl_assert(path != NULL);
    *doc = (struct doc){.name = path, .small = true};
    FILE *file = fopen(path, "rb");
    if (file == NULL) return -errno;
    struct text text = {calloc(1, DOC_FILE_SIZE_MAX + DOC_PADDING), 0};
    sl_assert(text.data != NULL);
    text.size = fread(text.data, 1, DOC_FILE_SIZE_MAX, file);
    int result = ferror(file) ? -EIO : feof(file) || fgetc(file) == EOF ? 0 : -E2BIG;
    (void)fclose(file);
    if (result < 0) {
        free(text.data);
        return result;
    }
    doc_add(doc, text);
    return 0;
}

void doc_fini(struct doc *doc)
{
    for (size_t i = 0; i < doc->count; i++) free(doc->parts[i].data);
    doc->count = 0;
}
