/* SPDX-License-Identifier: MIT */
/*
 * Sealing of secrets: XChaCha20-Poly1305 with a random nonce and associated data (libsodium;
 * this folder is its only includer), and BLAKE2b-256 for content.
 *
 *     sealed = nonce (24) | ciphertext (as long as the plaintext) | tag (16)
 *
 * A key lives in memory that is locked, guarded and wiped. Control threads, any number at once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/slice.h"

struct sl_seal;

enum {
    SL_SEAL_KEY_SIZE = 32,
    SL_SEAL_OVERHEAD = 24 + 16, /* bytes that a sealed text is longer */
    SL_SEAL_HASH_SIZE = 32,
};

/* Keep a copy of `key` (the caller wipes its own). 0, -ENOMEM or -EIO. */
int sl_seal_new(const uint8_t key[SL_SEAL_KEY_SIZE], struct sl_seal **ret_seal);

/* Wipe and free. NULL is fine; returns NULL. */
struct sl_seal *sl_seal_free(struct sl_seal *seal);

/*
 * Seal `plain`, bound to `context`: it opens only with the same context.
 *
 * out      plain.size + SL_SEAL_OVERHEAD bytes
 */
void sl_seal_encrypt(const struct sl_seal *seal, struct sl_slice context, struct sl_slice plain,
                     uint8_t *out);

/*
 * Open sealed bytes.
 *
 * out      sealed.size - SL_SEAL_OVERHEAD bytes
 * returns  0, -EBADMSG (too short), or -EKEYREJECTED (another key or context, or changed bytes)
 */
int sl_seal_decrypt(const struct sl_seal *seal, struct sl_slice context, struct sl_slice sealed,
                    uint8_t *out);

/* A value that tells one key from another and says nothing else about it. */
void sl_seal_fingerprint(const struct sl_seal *seal, uint8_t ret_print[SL_SEAL_HASH_SIZE]);

/* BLAKE2b-256 (RFC 7693) of `data`. */
void sl_seal_hash(struct sl_slice data, uint8_t ret_hash[SL_SEAL_HASH_SIZE]);

/* Overwrite memory so that no compiler leaves it out. */
void sl_seal_wipe(void *data, size_t size);
