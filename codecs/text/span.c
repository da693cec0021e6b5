/* SPDX-License-Identifier: MIT */
#include "codecs/text/span.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "core/base/assertion.h"

enum {
    TRACE_AT = 3,
    PARENT_AT = 36,
    FLAGS_AT = 53,
    MEMBER_LARGE = 128, /* bytes: left out first */
    KEY_SIZE_MAX = 256,
    VALUE_SIZE_MAX = 256,
};

static_assert(sizeof(struct sl_span) == 40, "whole words, so that it travels in messages");

/* ---- ids ------------------------------------------------------------------------------------- */

/* A bijection that spreads every bit: the finalizer of splitmix64 (Steele, Lea, Flood, 2014). */
static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* No two numbers under one key give the same words. */
static void words_make(const struct sl_span_seed *seed, uint64_t ret_words[3])
{
    uint64_t step = seed->number * UINT64_C(0x9e3779b97f4a7c15);
    ret_words[0] = mix(mix(seed->key[0] + step) ^ seed->key[1]);
    ret_words[1] = mix(mix(seed->key[1] + step) ^ ret_words[0]);
    ret_words[2] = mix(mix(seed->key[0] ^ step) + seed->key[1]);
    /* All zeros is no id; there are few enough of them to share one with another number. */
    if ((ret_words[0] | ret_words[1]) == 0) ret_words[1] = 1;
    if (ret_words[2] == 0) ret_words[2] = 1;
}

void sl_span_make(const struct sl_span_seed *seed, struct sl_span *ret_span)
{
    sl_assert(seed != NULL);
    sl_assert(ret_span != NULL);
    uint64_t words[3];
    words_make(seed, words);
    *ret_span = (struct sl_span){.flags = SL_SPAN_RANDOM};
    memcpy(ret_span->trace_id, words, sizeof(ret_span->trace_id));
    memcpy(ret_span->id, &words[2], sizeof(ret_span->id));
}

void sl_span_child(const struct sl_span *span, const struct sl_span_seed *seed,
                   struct sl_span *ret_child)
{
    sl_assert(span != NULL);
    sl_assert(seed != NULL);
    uint64_t words[3];
    struct sl_span child = *span;
    words_make(seed, words);
    memcpy(child.parent, span->id, sizeof(child.parent));
    memcpy(child.id, &words[2], sizeof(child.id));
    *ret_child = child;
}

/* ---- traceparent ----------------------------------------------------------------------------- */

static int digit_of(uint8_t byte)
{
    if (byte >= '0' && byte <= '9') return byte - '0';
    if (byte >= 'a' && byte <= 'f') return byte - 'a' + 10;
    return -1;
}

/* Small digits only: "HEXDIGLC" of section 3.2.1. */
static bool bytes_read(const uint8_t *text, size_t size, uint8_t *ret_bytes)
{
    for (size_t i = 0; i < size; i++) {
        int high = digit_of(text[2 * i]);
        int low = digit_of(text[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        ret_bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
    uint8_t any = 0;
    for (size_t i = 0; i < size; i++) any |= bytes[i];
    return any == 0;
}

int sl_span_take(const struct sl_span_seed *seed, struct sl_slice text, struct sl_span *ret_span)
{
    sl_assert(seed != NULL);
    sl_assert(ret_span != NULL);
    uint8_t version, flags;
    struct sl_span span;
    const uint8_t *at = text.data;
    if (text.size < SL_TRACEPARENT_SIZE) return -EBADMSG;
    if (!bytes_read(at, 1, &version) || version == 0xff) return -EBADMSG;
    if (version == 0 && text.size != SL_TRACEPARENT_SIZE) return -EBADMSG;
    if (text.size > SL_TRACEPARENT_SIZE && at[SL_TRACEPARENT_SIZE] != '-') return -EBADMSG;
    if (at[TRACE_AT - 1] != '-' || at[PARENT_AT - 1] != '-' || at[FLAGS_AT - 1] != '-') {
        return -EBADMSG;
    }
    sl_span_make(seed, &span);
    if (!bytes_read(at + TRACE_AT, sizeof(span.trace_id), span.trace_id)) return -EBADMSG;
    if (!bytes_read(at + PARENT_AT, sizeof(span.parent), span.parent)) return -EBADMSG;
    if (!bytes_read(at + FLAGS_AT, 1, &flags)) return -EBADMSG;
    if (is_zero(span.trace_id, sizeof(span.trace_id))) return -EBADMSG;
    if (is_zero(span.parent, sizeof(span.parent))) return -EBADMSG;
    /* What other flags may come to mean we do not know: they are not passed on (section 3.2.2.5). */
    span.flags = flags & (SL_SPAN_SAMPLED | SL_SPAN_RANDOM);
    *ret_span = span;
    return 0;
}

/* Eight digits of four bytes at once: a nibble to each byte, then 0x30 or 0x57 on top of it. */
static void hex_of_four(const uint8_t *bytes, char *ret_text)
{
    uint64_t v = (uint64_t)bytes[0] << 24 | (uint64_t)bytes[1] << 16 | (uint64_t)bytes[2] << 8 |
                 (uint64_t)bytes[3];
    v = (v | v << 16) & UINT64_C(0x0000ffff0000ffff);
    v = (v | v << 8) & UINT64_C(0x00ff00ff00ff00ff);
    v = (v | v << 4) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    uint64_t letters = ((v + UINT64_C(0x0606060606060606)) >> 4) & UINT64_C(0x0101010101010101);
    v += UINT64_C(0x3030303030303030) + letters * ('a' - '0' - 10);
    v = htobe64(v);
    memcpy(ret_text, &v, sizeof(v));
}

void sl_span_hex(const uint8_t *bytes, size_t size, char *ret_text)
{
    static const char digits[] = "0123456789abcdef";
    size_t fours = size / 4 * 4;
    for (size_t i = 0; i < fours; i += 4) hex_of_four(bytes + i, ret_text + 2 * i);
    for (size_t i = fours; i < size; i++) {
        ret_text[2 * i] = digits[bytes[i] >> 4];
        ret_text[2 * i + 1] = digits[bytes[i] & 15];
    }
}

void sl_span_write(const struct sl_span *span, char ret_text[SL_TRACEPARENT_SIZE])
{
    sl_assert(span != NULL);
    memcpy(ret_text, "00-", 3);
    sl_span_hex(span->trace_id, sizeof(span->trace_id), ret_text + TRACE_AT);
    ret_text[PARENT_AT - 1] = '-';
    sl_span_hex(span->id, sizeof(span->id), ret_text + PARENT_AT);
    ret_text[FLAGS_AT - 1] = '-';
    sl_span_hex(&span->flags, 1, ret_text + FLAGS_AT);
}

bool sl_span_is_root(const struct sl_span *span)
{
    sl_assert(span != NULL);
    return is_zero(span->parent, sizeof(span->parent));
}

/* ---- tracestate ------------------------------------------------------------------------------ */

static struct sl_slice trim(struct sl_slice text)
{
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text = sl_slice_make(text.data + 1, text.size - 1);
    }
    while (text.size > 0 && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t')) {
        text.size--;
    }
    return text;
}

/* Section 3.3.1.3.1, as Level 2 has it: it takes all that Level 1 took. */
static bool is_key(struct sl_slice key)
{
    if (key.size == 0 || key.size > KEY_SIZE_MAX) return false;
    bool begins =
        (key.data[0] >= 'a' && key.data[0] <= 'z') || (key.data[0] >= '0' && key.data[0] <= '9');
    uint32_t ats = 0;
    for (size_t i = 0; i < key.size; i++) {
        uint8_t byte = key.data[i];
        bool is_plain = (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') ||
                        byte == '_' || byte == '-' || byte == '*' || byte == '/';
        if (byte == '@') ats++;
        if (!is_plain && byte != '@') return false;
    }
    return begins && ats <= 1 && key.data[key.size - 1] != '@';
}

/* Printable, without comma and equals sign, and not ending with a space: section 3.3.1.3.2. */
static bool is_value(struct sl_slice value)
{
    if (value.size == 0 || value.size > VALUE_SIZE_MAX) return false;
    for (size_t i = 0; i < value.size; i++) {
        uint8_t byte = value.data[i];
        if (byte < 0x20 || byte > 0x7e || byte == ',' || byte == '=') return false;
    }
    return value.data[value.size - 1] != ' ';
}

static bool is_member(struct sl_slice member)
{
    const uint8_t *equals = memchr(member.data, '=', member.size);
    if (equals == NULL) return false;
    size_t size = (size_t)(equals - member.data);
    return is_key(sl_slice_make(member.data, size)) &&
           is_value(sl_slice_make(equals + 1, member.size - size - 1));
}

struct members {
    struct sl_slice list[SL_TRACESTATE_MEMBERS_MAX];
    uint32_t count;
};

/* The members of one field; empty ones are allowed and left out. */
static bool members_add(struct members *members, struct sl_slice text)
{
    while (text.size > 0) {
        const uint8_t *comma = memchr(text.data, ',', text.size);
        size_t size = comma != NULL ? (size_t)(comma - text.data) : text.size;
        struct sl_slice member = trim(sl_slice_make(text.data, size));
        if (member.size > 0) {
            if (members->count == SL_TRACESTATE_MEMBERS_MAX || !is_member(member)) return false;
            members->list[members->count++] = member;
        }
        if (comma == NULL) return true;
        text = sl_slice_make(comma + 1, text.size - size - 1);
    }
    return true;
}

static size_t members_size(const struct members *members)
{
    size_t size = 0;
    for (uint32_t i = 0; i < members->count; i++) size += members->list[i].size + (i > 0);
    return size;
}

static void members_shorten(struct members *members)
{
    for (uint32_t i = members->count; i > 0; i--) {
        if (members_size(members) <= SL_TRACESTATE_SIZE_MAX) return;
        if (members->list[i - 1].size <= MEMBER_LARGE) continue;
        memmove(&members->list[i - 1], &members->list[i],
                (members->count - i) * sizeof(members->list[0]));
        members->count--;
    }
    while (members_size(members) > SL_TRACESTATE_SIZE_MAX) members->count--;
}

void sl_tracestate_take(const struct sl_slice *texts, uint32_t count, struct sl_tracestate *ret)
{
    sl_assert(ret != NULL);
    sl_assert(count == 0 || texts != NULL);
    struct members members;
    members.count = 0;
    ret->size = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!members_add(&members, texts[i])) return;
    }
    members_shorten(&members);
    for (uint32_t i = 0; i < members.count; i++) {
        if (i > 0) ret->text[ret->size++] = ',';
        memcpy(ret->text + ret->size, members.list[i].data, members.list[i].size);
        ret->size += (uint32_t)members.list[i].size;
    }
}
