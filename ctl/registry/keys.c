/* SPDX-License-Identifier: MIT */
/* Keys of the store; internal.h shows the layout. */
#include <string.h>

#include "core/base/assertion.h"
#include "ctl/registry/internal.h"

uint64_t get_be64(const uint8_t *bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) value = value << 8 | bytes[i];
    return value;
}

void put_be64(uint8_t *bytes, uint64_t value)
{
    for (int i = 7; i >= 0; i--, value >>= 8) bytes[i] = (uint8_t)value;
}

static void add(struct key *key, const void *data, size_t size)
{
    sl_assert(key->size + size <= sizeof(key->data));
    if (size > 0) memcpy(key->data + key->size, data, size);
    key->size += size;
}

static void add_byte(struct key *key, uint8_t byte)
{
    add(key, &byte, 1);
}

static void add_number(struct key *key, uint64_t value)
{
    uint8_t bytes[8];
    put_be64(bytes, value);
    add(key, bytes, sizeof(bytes));
}

static struct key start(char prefix)
{
    struct key key;
    key.size = 0;
    add_byte(&key, (uint8_t)prefix);
    return key;
}

struct key key_head(void)
{
    return start('h');
}

struct key key_fingerprint(void)
{
    return start('f');
}

struct key key_version(enum sl_object_type type, const struct id *id, uint64_t revision)
{
    struct key key = start('v');
    add_byte(&key, (uint8_t)type);
    add(&key, id->bytes, ID_BYTES);
    add_number(&key, ~revision);
    return key;
}

uint64_t key_version_revision(struct sl_slice key)
{
    sl_assert(key.size == 2 + ID_BYTES + 8);
    return ~get_be64(key.data + key.size - 8);
}

struct key key_member(char prefix, enum sl_object_type type, struct sl_slice namespace,
                      const struct id *id)
{
    struct key key = start(prefix);
    add_byte(&key, (uint8_t)type);
    if (namespace.data == NULL) return key;
    add(&key, namespace.data, namespace.size);
    add_byte(&key, 0);
    if (id != NULL) add(&key, id->bytes, ID_BYTES);
    return key;
}

struct key key_name(enum sl_object_type type, struct sl_slice namespace, struct sl_slice name)
{
    struct key key = start('n');
    add_byte(&key, (uint8_t)type);
    add(&key, namespace.data, namespace.size);
    add_byte(&key, 0);
    add(&key, name.data, name.size);
    return key;
}

struct key key_log(uint64_t revision)
{
    struct key key = start('r');
    add_number(&key, revision);
    return key;
}

struct key key_meta(struct sl_slice namespace, struct sl_slice name)
{
    struct key key = start('m');
    add(&key, namespace.data, namespace.size);
    add_byte(&key, 0);
    add(&key, name.data, name.size);
    return key;
}

struct key key_good(const struct id *id)
{
    struct key key = start('g');
    add(&key, id->bytes, ID_BYTES);
    return key;
}
