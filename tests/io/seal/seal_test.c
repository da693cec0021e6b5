/* SPDX-License-Identifier: MIT */
/* Sealing opens with the same key, context and bytes, and with nothing else. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "io/seal/seal.h"

static const char plain_text[] = "correct horse battery staple";
enum { PLAIN_SIZE = sizeof(plain_text) - 1, SEALED_SIZE = PLAIN_SIZE + SL_SEAL_OVERHEAD };

static struct sl_seal *seal_with(uint8_t fill)
{
    uint8_t key[SL_SEAL_KEY_SIZE];
    memset(key, fill, sizeof(key));
    struct sl_seal *seal = NULL;
    assert_int_equal(sl_seal_new(key, &seal), 0);
    return seal;
}

static void decrypt_sameKeyAndContext_opens(void **state)
{
    (void)state;
    struct sl_seal *seal = seal_with(1);
    uint8_t sealed[SEALED_SIZE];
    uint8_t again[SEALED_SIZE];
    uint8_t out[PLAIN_SIZE];
    sl_seal_encrypt(seal, SL_SLICE("ctx"), sl_slice_make(plain_text, PLAIN_SIZE), sealed);
    sl_seal_encrypt(seal, SL_SLICE("ctx"), sl_slice_make(plain_text, PLAIN_SIZE), again);
    assert_memory_not_equal(sealed, again, sizeof(sealed)); /* the nonce is fresh */
    assert_int_equal(
        sl_seal_decrypt(seal, SL_SLICE("ctx"), sl_slice_make(sealed, SEALED_SIZE), out), 0);
    assert_memory_equal(out, plain_text, PLAIN_SIZE);
    seal = sl_seal_free(seal);
}

static void decrypt_otherKeyOrContextOrBytes_isRejected(void **state)
{
    (void)state;
    struct sl_seal *seal = seal_with(1);
    struct sl_seal *other = seal_with(2);
    uint8_t sealed[SEALED_SIZE];
    uint8_t out[PLAIN_SIZE];
    struct sl_slice all = sl_slice_make(sealed, SEALED_SIZE);
    sl_seal_encrypt(seal, SL_SLICE("ctx"), sl_slice_make(plain_text, PLAIN_SIZE), sealed);
    assert_int_equal(sl_seal_decrypt(other, SL_SLICE("ctx"), all, out), -EKEYREJECTED);
    assert_int_equal(sl_seal_decrypt(seal, SL_SLICE("ctX"), all, out), -EKEYREJECTED);
    for (size_t i = 0; i < SEALED_SIZE; i++) {
        sealed[i] ^= 1;
        assert_int_equal(sl_seal_decrypt(seal, SL_SLICE("ctx"), all, out), -EKEYREJECTED);
        sealed[i] ^= 1;
    }
    all.size = SL_SEAL_OVERHEAD - 1;
    assert_int_equal(sl_seal_decrypt(seal, SL_SLICE("ctx"), all, out), -EBADMSG);
    seal = sl_seal_free(seal);
    other = sl_seal_free(other);
}

static void fingerprint_ofTwoKeys_differs(void **state)
{
    (void)state;
    struct sl_seal *one = seal_with(1);
    struct sl_seal *same = seal_with(1);
    struct sl_seal *two = seal_with(2);
    uint8_t a[SL_SEAL_HASH_SIZE];
    uint8_t b[SL_SEAL_HASH_SIZE];
    sl_seal_fingerprint(one, a);
    sl_seal_fingerprint(same, b);
    assert_memory_equal(a, b, sizeof(a));
    sl_seal_fingerprint(two, b);
    assert_memory_not_equal(a, b, sizeof(a));
    one = sl_seal_free(one);
    same = sl_seal_free(same);
    two = sl_seal_free(two);
}

static void hash_ofAbc_isBlake2b256(void **state)
{
    (void)state;
    static const uint8_t expected[4] = {0xbd, 0xdd, 0x81, 0x3c}; /* b2sum -l 256 of "abc" */
    uint8_t hash[SL_SEAL_HASH_SIZE];
    sl_seal_hash(SL_SLICE("abc"), hash);
    assert_memory_equal(hash, expected, sizeof(expected));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decrypt_sameKeyAndContext_opens),
        cmocka_unit_test(decrypt_otherKeyOrContextOrBytes_isRejected),
        cmocka_unit_test(fingerprint_ofTwoKeys_differs),
        cmocka_unit_test(hash_ofAbc_isBlake2b256),
    };
    return cmocka_run_group_tests_name("seal", tests, NULL, NULL);
}
