/* SPDX-License-Identifier: MIT */
/* Records from the disk are checked: cut or changed anywhere, they are refused or harmless. */
#include "tests/ctl/registry/fixture.h"

#include <errno.h>

#include "ctl/registry/internal.h"

struct bytes {
    uint8_t *data;
    size_t size;
};

/* A version of a spec as it stands in the store. */
static struct bytes stored_record(struct fixture *fixture)
{
    struct sl_kv_txn *txn;
    struct sl_kv_pair pair;
    struct bytes bytes;
    (void)put_spec(fixture->registry, "default", "a", "some code");
    assert_int_equal(sl_kv_read_begin(fixture->registry->kv, &txn), 0);
    assert_int_equal(sl_kv_seek(txn, SL_SLICE("v"), &pair), 0);
    bytes.size = pair.value.size;
    bytes.data = (uint8_t *)sl_slice_dup_str(pair.value);
    txn = sl_kv_read_end(txn);
    return bytes;
}

/* 0 if an object came of it. Reads a copy of the exact size, for the sanitizer's sake. */
static int read_record(const uint8_t *data, size_t size)
{
    struct id id = {{1}};
    struct record record;
    struct sl_object *object;
    uint8_t *copy = malloc(size > 0 ? size : 1);
    memcpy(copy, data, size);
    int r = record_unpack(SL_OBJECT_SPEC, &id, 1, sl_slice_make(copy, size), &record);
    if (r == 0 && !record.deleted) {
        r = record_object(&record, &object);
        if (r == 0) object = sl_object_free(object);
    }
    free(copy);
    return r;
}

static void record_cutAnywhere_isBadMessage(void **state)
{
    struct bytes bytes = stored_record(*state);
    assert_int_equal(read_record(bytes.data, bytes.size), 0);
    for (size_t size = 0; size < bytes.size; size++) {
        assert_int_equal(read_record(bytes.data, size), -EBADMSG);
    }
    free(bytes.data);
}

static void record_anyBitFlipped_isRefusedOrHarmless(void **state)
{
    struct bytes bytes = stored_record(*state);
    size_t refused = 0;
    for (size_t bit = 0; bit < bytes.size * 8; bit++) {
        bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        int r = read_record(bytes.data, bytes.size);
        assert_true(r == 0 || r == -EBADMSG);
        refused += r != 0;
        bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_true(refused > bytes.size); /* lengths, offsets and counts are many */
    free(bytes.data);
}

struct garbage {
    struct key key;
    struct sl_slice value;
};

static int put_garbage(struct sl_kv_txn *txn, void *ctx)
{
    struct garbage *garbage = ctx;
    return sl_kv_put(txn, key_slice(&garbage->key), garbage->value);
}

static void open_damagedRecords_isBadMessage(void **state)
{
    struct fixture *fixture = *state;
    struct sl_registry *registry = fixture->registry;
    struct sl_objects objects;
    struct sl_history history;
    uint64_t revision;
    (void)put_spec(registry, "default", "a", "1");
    struct garbage garbage = {key_log(1), SL_SLICE("garbage")};
    assert_int_equal(sl_kv_write(registry->kv, put_garbage, &garbage), 0);
    assert_int_equal(sl_registry_history(registry, NULL, SL_REVISION_NEWEST, 9, &history),
                     -EBADMSG);
    garbage.key = key_member('l', SL_OBJECT_SPEC, SL_SLICE("default"), NULL);
    assert_int_equal(sl_kv_write(registry->kv, put_garbage, &garbage), 0);
    assert_int_equal(sl_registry_snapshot(registry, SL_OBJECT_SPEC, "default", SL_REVISION_NEWEST,
                                          &objects, NULL),
                     -EBADMSG);
    garbage.key = key_head();
    assert_int_equal(sl_kv_write(registry->kv, put_garbage, &garbage), 0);
    assert_int_equal(sl_registry_revision(registry, &revision), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(record_cutAnywhere_isBadMessage, setup_memory, teardown),
        cmocka_unit_test_setup_teardown(record_anyBitFlipped_isRefusedOrHarmless, setup_memory,
                                        teardown),
        cmocka_unit_test_setup_teardown(open_damagedRecords_isBadMessage, setup_memory, teardown),
    };
    return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
