/* SPDX-License-Identifier: MIT */
/* The one file that calls libsodium. */
#include "io/seal/seal.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "core/base/assertion.h"

struct sl_seal {
    uint8_t key[SL_SEAL_KEY_SIZE];
};

enum { NONCE_SIZE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES };

static_assert(SL_SEAL_KEY_SIZE == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "key size");
static_assert(SL_SEAL_OVERHEAD == NONCE_SIZE + crypto_aead_xchacha20poly1305_ietf_ABYTES,
              "nonce and tag");
static_assert(SL_SEAL_HASH_SIZE == crypto_generichash_BYTES, "BLAKE2b-256");

int sl_seal_new(const uint8_t key[SL_SEAL_KEY_SIZE], struct sl_seal **ret_seal)
{
    sl_assert(key != NULL);
    sl_assert(ret_seal != NULL);
    if (sodium_init() < 0) return -EIO;
    struct sl_seal *seal = sodium_malloc(sizeof(*seal));
    if (seal == NULL) return -ENOMEM;
    memcpy(seal->key, key, sizeof(seal->key));
    (void)sodium_mprotect_readonly(seal);
    *ret_seal = seal;
    return 0;
}

struct sl_seal *sl_seal_free(struct sl_seal *seal)
{
    sodium_free(seal);
    return NULL;
}

void sl_seal_encrypt(const struct sl_seal *seal, struct sl_slice context, struct sl_slice plain,
                     uint8_t *out)
{
    sl_assert(seal != NULL);
    sl_assert(out != NULL);
    randombytes_buf(out, NONCE_SIZE);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(out + NONCE_SIZE, NULL, plain.data, plain.size,
                                                     context.data, context.size, NULL, out,
                                                     seal->key);
}

int sl_seal_decrypt(const struct sl_seal *seal, struct sl_slice context, struct sl_slice sealed,
                    uint8_t *out)
{
    sl_assert(seal != NULL);
    sl_assert(out != NULL || sealed.size <= SL_SEAL_OVERHEAD);
    if (sealed.size < SL_SEAL_OVERHEAD) return -EBADMSG;
    int r = crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed.data + NONCE_SIZE,
                                                       sealed.size - NONCE_SIZE, context.data,
                                                       context.size, sealed.data, seal->key);
    return r == 0 ? 0 : -EKEYREJECTED;
}

void sl_seal_fingerprint(const struct sl_seal *seal, uint8_t ret_print[SL_SEAL_HASH_SIZE])
{
    static const char label[] = "sluice registry key";
    sl_assert(seal != NULL);
    (void)crypto_generichash(ret_print, SL_SEAL_HASH_SIZE, (const uint8_t *)label,
                             sizeof(label) - 1, seal->key, sizeof(seal->key));
}

void sl_seal_hash(struct sl_slice data, uint8_t ret_hash[SL_SEAL_HASH_SIZE])
{
    sl_assert(ret_hash != NULL);
    (void)crypto_generichash(ret_hash, SL_SEAL_HASH_SIZE, data.data, data.size, NULL, 0);
}

void sl_seal_wipe(void *data, size_t size)
{
    if (size > 0) sodium_memzero(data, size);
}
