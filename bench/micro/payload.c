/* SPDX-License-Identifier: MIT */
/* Payloads: building, reading, sealing, verifying, opening, by the payload of an HTTP request. */
#include <stdlib.h>

#include "bench/micro/micro.h"
#include "bench/micro/sample.h"
#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/base/hash.h"
#include "core/mem/mem.h"

enum { MEMORY_MAX = 64 * 1024 * 1024 };

struct payload {
    struct sl_mem *mem;
    struct sl_value value;
    uint8_t *sealed;
    size_t sealed_size;
    uint8_t *out; /* sealed_size bytes */
};

static int payload_setup(struct sl_micro_run *run)
{
    struct payload *payload = calloc(1, sizeof(*payload));
    sl_assert(payload != NULL);
    payload->mem = sl_mem_new(MEMORY_MAX);
    sl_assert(payload->mem != NULL);
    payload->value = sl_sample_value(SL_SAMPLE_REQUEST, payload->mem);
    struct sl_flat_envelope envelope = {.process = 1, .source = 2, .target = 3};
    int result =
        sl_flat_seal_dup(payload->value, &envelope, &payload->sealed, &payload->sealed_size);
    sl_assert(result == 0);
    payload->out = aligned_alloc(64, (payload->sealed_size + 63) / 64 * 64);
    sl_assert(payload->out != NULL);
    run->state = payload;
    return 0;
}

/* The same, and a sealed payload's size is the work. */
static int sealed_setup(struct sl_micro_run *run)
{
    int result = payload_setup(run);
    run->bytes = ((struct payload *)run->state)->sealed_size;
    return result;
}

static void payload_teardown(struct sl_micro_run *run)
{
    struct payload *payload = run->state;
    sl_value_unref(payload->value);
    free(payload->sealed);
    free(payload->out);
    (void)sl_mem_free(payload->mem);
    free(payload);
}

static void int_run(struct sl_micro_run *run, uint64_t count)
{
    struct payload *payload = run->state;
    for (uint64_t i = 0; i < count; i++) {
        struct sl_value value = sl_value_new_int(payload->mem, (int64_t)i);
        sl_micro_keep(value.cell);
        sl_value_unref(value);
    }
}

/* A reply as a snippet makes it: {"status": 200, "body": {three fields, a list of two}}. */
static void build_run(struct sl_micro_run *run, uint64_t count)
{
    struct payload *payload = run->state;
    for (uint64_t i = 0; i < count; i++) {
        struct sl_builder builder;
        struct sl_value value;
        sl_builder_init(&builder, payload->mem, 24, 64);
        sl_build_map_begin(&builder);
        sl_build_key_str(&builder, "status");
        sl_build_int(&builder, 200);
        sl_build_key_str(&builder, "body");
        sl_build_map_begin(&builder);
        sl_build_key_str(&builder, "id");
        sl_build_int(&builder, (int64_t)i);
        sl_build_key_str(&builder, "name");
        sl_build_string_str(&builder, "Ada Lovelace");
        sl_build_key_str(&builder, "tags");
        sl_build_list_begin(&builder);
        sl_build_string_str(&builder, "new");
        sl_build_string_str(&builder, "paid");
        sl_build_list_end(&builder);
        sl_build_map_end(&builder);
        sl_build_map_end(&builder);
        int result = sl_builder_finish(&builder, &value);
        sl_assert(result == 0);
        sl_value_unref(value);
    }
}

/* What a snippet does that wraps its input: {"body": self}. Nothing of self is copied. */
static void wrap_run(struct sl_micro_run *run, uint64_t count)
{
    struct payload *payload = run->state;
    for (uint64_t i = 0; i < count; i++) {
        struct sl_builder builder;
        struct sl_value value;
        sl_builder_init(&builder, payload->mem, 3, 8);
        sl_build_map_begin(&builder);
        sl_build_key_str(&builder, "body");
        sl_build_value(&builder, payload->value);
        sl_build_map_end(&builder);
        int result = sl_builder_finish(&builder, &value);
        sl_assert(result == 0);
        sl_value_unref(value);
    }
}

/* self.body.user.age: three lookups by name. */
static void read_run(struct sl_micro_run *run, uint64_t count)
{
    struct payload *payload = run->state;
    int64_t sum = 0;
    for (uint64_t i = 0; i < count; i++) {
        sl_micro_keep(payload->value.cell);
        struct sl_value body = sl_value_get_str(payload->value, "body");
        struct sl_value user = sl_value_get_str(body, "user");
        sum += sl_value_get_str(user, "age").cell->i64;
    }
    sl_micro_keep(&sum);
}

/* The same as compiled code does it: the keys' hashes are known. */
static void read_hashed_run(struct sl_micro_run *run, uint64_t count)
{
    struct payload *payload = run->state;
    uint16_t body_hash = sl_hash16("body", 4);
    uint16_t user_hash = sl_hash16("user", 4);
    uint16_t age_hash = sl_hash16("age", 3);
    int64_t sum = 0;
    for (uint64_t i = 0; i < count; i++) {
        sl_micro_keep(payload->value.cell);
        struct sl_value body = sl_value_get_hashed(payload->value, "body", 4, body_hash);
        struct sl_value user = sl_value_get_hashed(body, "user", 4, user_hash);
        sum += sl_value_get_hashed(user, "age", 3, age_hash).cell->i64;
    }
    sl_micro_keep(&sum);
}

static void seal_run(struct sl_micro_run *run, uint64_t count)
{
    struct payload *payload = run->state;
    struct sl_flat_envelope envelope = {.process = 1, .source = 2, .target = 3};
    for (uint64_t i = 0; i < count; i++) {
        size_t size;
        int result =
            sl_flat_seal(payload->value, &envelope, payload->out, payload->sealed_size, &size);
        sl_assert(result == 0);
    }
}

static void verify_run(struct sl_micro_run *run, uint64_t count)
{
    struct payload *payload = run->state;
    for (uint64_t i = 0; i < count; i++) {
        int result = sl_flat_verify(payload->sealed, payload->sealed_size, NULL);
        sl_assert(result == 0);
    }
}

static void open_run(struct sl_micro_run *run, uint64_t count)
{
    struct payload *payload = run->state;
    for (uint64_t i = 0; i < count; i++) {
        struct sl_flat_envelope envelope;
        struct sl_value value;
        int result =
            sl_flat_open(payload->sealed, payload->sealed_size, payload->mem, &envelope, &value);
        sl_assert(result == 0);
        sl_value_unref(value);
    }
}

static void borrow_run(struct sl_micro_run *run, uint64_t count)
{
    struct payload *payload = run->state;
    for (uint64_t i = 0; i < count; i++) {
        struct sl_flat_envelope envelope;
        struct sl_value value;
        int result = sl_flat_open_borrow(payload->sealed, payload->sealed_size, payload->mem,
                                         &envelope, &value);
        sl_assert(result == 0);
        sl_value_unref(value);
    }
}

#define CASE(case_name, text, prepare, function)                                                   \
    {                                                                                              \
        .name = (case_name), .about = (text), .setup = (prepare), .run = (function),               \
        .teardown = payload_teardown                                                               \
    }

static const struct sl_micro_case CASES[] = {
    CASE("payload/int", "make an integer and drop it", payload_setup, int_run),
    CASE("payload/build", "build a reply of 10 values in two maps and a list, and drop it",
         payload_setup, build_run),
    CASE("payload/wrap", "{\"body\": self}: a map around a value, nothing copied", payload_setup,
         wrap_run),
    CASE("payload/read", "self.body.user.age: three lookups by name", payload_setup, read_run),
    CASE("payload/read-hashed", "the same with the hashes known, as compiled code reads",
         payload_setup, read_hashed_run),
    CASE("payload/seal", "a request's payload to bytes that may leave the shard", sealed_setup,
         seal_run),
    CASE("payload/verify", "check such bytes from outside", sealed_setup, verify_run),
    CASE("payload/open", "checked bytes to a value of this shard, copied", sealed_setup, open_run),
    CASE("payload/open-borrow", "checked bytes to a value in place", sealed_setup, borrow_run),
};

const struct sl_micro_group sl_micro_payload = SL_MICRO_GROUP("payload", CASES);
