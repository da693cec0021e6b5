/* SPDX-License-Identifier: MIT */
/*
 * UUIDs (RFC 9562): text and bytes, version 4 from the clock's random bytes, version 5 from a name.
 * Version 5 asks for SHA-1 (RFC 3174), which protects nothing here and stands below.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "ctl/registry/internal.h"

enum { SHA1_BLOCK = 64, SHA1_SIZE = 20 };

struct sha1 {
    uint32_t state[5];
    uint64_t size;
    uint8_t block[SHA1_BLOCK];
};

static uint32_t rotate_left(uint32_t x, unsigned n)
{
    return x << n | x >> (32 - n);
}

static void sha1_round(uint32_t v[5], int i, uint32_t word)
{
    uint32_t f;
    uint32_t k;
    if (i < 20)
        f = (v[1] & v[2]) | (~v[1] & v[3]), k = 0x5a827999;
    else if (i < 40)
        f = v[1] ^ v[2] ^ v[3], k = 0x6ed9eba1;
    else if (i < 60)
        f = (v[1] & v[2]) | (v[1] & v[3]) | (v[2] & v[3]), k = 0x8f1bbcdc;
    else
        f = v[1] ^ v[2] ^ v[3], k = 0xca62c1d6;
    uint32_t sum = rotate_left(v[0], 5) + f + v[4] + k + word;
    v[4] = v[3];
    v[3] = v[2];
    v[2] = rotate_left(v[1], 30);
    v[1] = v[0];
    v[0] = sum;
}

static void sha1_block(struct sha1 *sha)
{
    uint32_t w[80];
    uint32_t v[5];
    for (int i = 0; i < 16; i++) {
        const uint8_t *at = &sha->block[i * 4];
        w[i] = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    }
    for (int i = 16; i < 80; i++) {
        w[i] = rotate_left(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    }
    memcpy(v, sha->state, sizeof(v));
    for (int i = 0; i < 80; i++) sha1_round(v, i, w[i]);
    for (int i = 0; i < 5; i++) sha->state[i] += v[i];
}

static void sha1_add(struct sha1 *sha, const void *data, size_t size)
{
    const uint8_t *at = data;
    for (size_t i = 0; i < size; i++) {
        sha->block[sha->size++ % SHA1_BLOCK] = at[i];
        if (sha->size % SHA1_BLOCK == 0) sha1_block(sha);
    }
}

static void sha1_finish(struct sha1 *sha, uint8_t ret_hash[SHA1_SIZE])
{
    uint8_t bits[8];
    put_be64(bits, sha->size * 8);
    sha1_add(sha, "\x80", 1);
    while (sha->size % SHA1_BLOCK != SHA1_BLOCK - 8) sha1_add(sha, "", 1);
    sha1_add(sha, bits, sizeof(bits));
    for (int i = 0; i < SHA1_SIZE; i++) {
        ret_hash[i] = (uint8_t)(sha->state[i / 4] >> (24 - i % 4 * 8));
    }
}

static void id_mark(struct id *id, uint8_t version)
{
    id->bytes[6] = (uint8_t)((id->bytes[6] & 0x0f) | version << 4);
    id->bytes[8] = (uint8_t)((id->bytes[8] & 0x3f) | 0x80);
}

void id_derive(struct sl_slice namespace, struct sl_slice path, struct id *ret_id)
{
    /* The space of our names: a random UUID, fixed for ever. */
    static const uint8_t space[ID_BYTES] = {0x6f, 0x0c, 0x1d, 0x7e, 0x52, 0xb4, 0x4a, 0x39,
                                            0x9d, 0x31, 0x4e, 0x0a, 0x8c, 0x77, 0xe5, 0x20};
    struct sha1 sha = {.state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}};
    uint8_t hash[SHA1_SIZE];
    sha1_add(&sha, space, sizeof(space));
    sha1_add(&sha, namespace.data, namespace.size);
    sha1_add(&sha, "", 1);
    sha1_add(&sha, path.data, path.size);
    sha1_finish(&sha, hash);
    memcpy(ret_id->bytes, hash, ID_BYTES);
    id_mark(ret_id, 5);
}

void id_random(struct sl_clock *clock, struct id *ret_id)
{
    clock->random(clock, ret_id->bytes, ID_BYTES);
    id_mark(ret_id, 4);
}

static bool is_dash(int at)
{
    return at == 8 || at == 13 || at == 18 || at == 23;
}

void id_format(const struct id *id, char ret_text[SL_ID_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    int at = 0;
    for (int i = 0; i < ID_BYTES; i++) {
        if (is_dash(at)) ret_text[at++] = '-';
        ret_text[at++] = digits[id->bytes[i] >> 4];
        ret_text[at++] = digits[id->bytes[i] & 15];
    }
    ret_text[at] = '\0';
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool id_parse(struct sl_slice text, struct id *ret_id)
{
    struct id id = {{0}};
    if (text.size != SL_ID_SIZE - 1) return false;
    int digit = 0;
    for (int at = 0; at < SL_ID_SIZE - 1; at++) {
        if (is_dash(at) && text.data[at] == '-') continue;
        int value = is_dash(at) ? -1 : hex_value(text.data[at]);
        if (value < 0) return false;
        id.bytes[digit / 2] = (uint8_t)(id.bytes[digit / 2] << 4 | value);
        digit++;
    }
    *ret_id = id;
    return true;
}

void sl_registry_id_derive(const char *namespace, const char *path, char ret_id[SL_ID_SIZE])
{
    sl_assert(namespace != NULL);
    sl_assert(path != NULL);
    struct id id;
    id_derive(sl_slice_from_str(namespace), sl_slice_from_str(path), &id);
    id_format(&id, ret_id);
}

bool sl_registry_id_parse(const char *text, char ret_id[SL_ID_SIZE])
{
    struct id id;
    if (text == NULL || !id_parse(sl_slice_from_str(text), &id)) return false;
    id_format(&id, ret_id);
    return true;
}
