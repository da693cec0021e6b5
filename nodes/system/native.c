/* SPDX-License-Identifier: MIT */
#include "nodes/system/native.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/base/limit.h"
#include "core/graph/process.h"
#include "core/graph/program.h"
#include "core/shard/shard.h"

struct native_op {
    const char *opcode;
    sl_native_fn *fn;
    void *ctx;
};

/* Filled before threads start, read-only after that. */
static struct native_op ops[SL_NATIVE_OPS_MAX];
static uint32_t ops_count;
static bool ops_frozen;

/* Requests on their way, of all shards: the control thread's queue is bounded. */
static _Atomic uint32_t queue_size;

void sl_native_register(const char *opcode, sl_native_fn *fn, void *ctx)
{
    sl_assert(opcode != NULL);
    sl_assert(fn != NULL);
    sl_assert(ops_count < SL_NATIVE_OPS_MAX);
    sl_assert(!ops_frozen);
    ops[ops_count++] = (struct native_op){opcode, fn, ctx};
}

void sl_native_freeze(void)
{
    sl_assert(ops_count <= SL_NATIVE_OPS_MAX);
    ops_frozen = true;
}

void sl_native_reset(void)
{
    ops_count = 0;
    ops_frozen = false;
}

struct native {
    struct sl_slice opcode;
    const struct native_op *op;
};

static const struct sl_field native_fields[] = {
    {"opcode", SL_FIELD_STRING, offsetof(struct native, opcode), SL_FIELD_REQUIRED, 0, 0, NULL,
     "nodes.create, nodes.read …", NULL},
    {0},
};

static int native_compile(struct sl_compile *c)
{
    struct native *native = c->config;
    const char *names[SL_NATIVE_OPS_MAX];
    for (uint32_t i = 0; i < ops_count; i++) {
        names[i] = ops[i].opcode;
        if (sl_slice_eq_str(native->opcode, ops[i].opcode)) native->op = &ops[i];
    }
    if (native->op != NULL) return 0;
    char opcode[64];
    (void)snprintf(opcode, sizeof(opcode), "%.*s", SL_SLICE_FMT(native->opcode));
    const char *nearest = sl_diag_nearest(opcode, names, ops_count);
    return sl_compile_error(
        c, "unknown_opcode", sl_value_get_str(c->spec, "opcode"), "unknown opcode \"%s\"%s%s%s",
        opcode, nearest ? ", did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
}

/* One request; heap, because it crosses threads. */
struct native_request {
    struct sl_mail mail;
    struct sl_shard *shard;
    struct sl_frame *frame; /* NULL: cancelled, nobody waits */
    const struct native_op *op;
    char name_space[SL_SPEC_NAME_MAX + 1];
    uint8_t *data; /* sealed argument, then sealed result */
    size_t size;
    int result; /* 0, or -EXXX when there is no result */
};

struct native_frame {
    struct native_request *request;
};

static void request_free(struct native_request *request)
{
    atomic_fetch_sub_explicit(&queue_size, 1, memory_order_relaxed);
    free(request->data);
    free(request);
}

/* Back on the shard. */
static void mail_answer(struct sl_mail *mail)
{
    struct native_request *request = sl_container_of(mail, struct native_request, mail);
    struct sl_frame *frame = request->frame;
    if (frame != NULL) {
        struct sl_mem *mem = request->shard->loop.mem;
        struct sl_value value = sl_value_none();
        struct sl_flat_envelope envelope;
        int r = request->result;
        /* The bytes were sealed by this very process: no need to verify them. */
        if (r == 0) r = sl_flat_open(request->data, request->size, mem, &envelope, &value);
        if (r < 0) value = sl_error_no_memory();
        ((struct native_frame *)sl_frame_data(frame))->request = NULL;
        sl_frame_resume(frame, value);
    }
    request_free(request);
}

/* On the control thread. */
static void mail_run(struct sl_mail *mail)
{
    struct native_request *request = sl_container_of(mail, struct native_request, mail);
    struct sl_value argument = sl_value_none();
    struct sl_value result = sl_value_none();
    struct sl_flat_envelope envelope = {0};
    int r = sl_flat_open(request->data, request->size, NULL, &envelope, &argument);
    free(request->data);
    request->data = NULL;
    if (r == 0) {
        request->op->fn(request->op->ctx, request->name_space, argument, &result);
        r = sl_value_is_none(result)
                ? -ENOMEM
                : sl_flat_seal_dup(result, &envelope, &request->data, &request->size);
    }
    sl_value_unref(argument);
    sl_value_unref(result);
    request->result = r;
    request->mail.fn = mail_answer;
    sl_loop_post(&request->shard->loop, &request->mail);
}

static enum sl_step native_run(struct sl_call *call)
{
    const struct native *native = call->config;
    uint32_t queued = atomic_fetch_add_explicit(&queue_size, 1, memory_order_relaxed);
    if (queued >= SL_REGISTRY_QUEUE_MAX) {
        atomic_fetch_sub_explicit(&queue_size, 1, memory_order_relaxed);
        return sl_call_fail(call, "overload", 503, "too many operations wait for the registry");
    }
    struct native_request *request = calloc(1, sizeof(*request));
    int r = request == NULL ? -ENOMEM : 0;
    struct sl_flat_envelope envelope = {0};
    if (r == 0) r = sl_flat_seal_dup(call->value, &envelope, &request->data, &request->size);
    if (r < 0) {
        atomic_fetch_sub_explicit(&queue_size, 1, memory_order_relaxed);
        free(request);
        return sl_call_fail(call, "no_memory", 503, "no memory for the operation");
    }
    request->mail.fn = mail_run;
    request->shard = call->shard;
    request->frame = call->frame;
    request->op = native->op;
    (void)snprintf(request->name_space, sizeof(request->name_space), "%s",
                   call->process->instance->program->name_space);
    ((struct native_frame *)sl_frame_data(call->frame))->request = request;
    sl_value_unref(call->value);
    call->value = sl_value_none();
    sl_loop_post(call->shard->control, &request->mail);
    return SL_STEP_PARK;
}

static enum sl_step native_resume(struct sl_call *call)
{
    if (sl_value_is(call->value, SL_VALUE_ERROR)) return SL_STEP_FAIL;
    call->port = 0;
    return SL_STEP_EMIT;
}

/* The operation goes on, but its answer is dropped. */
static void native_cancel(struct sl_frame *frame, struct sl_shard *shard)
{
    (void)shard;
    struct native_frame *own = sl_frame_data(frame);
    if (own->request != NULL) own->request->frame = NULL;
    own->request = NULL;
}

static const char *const native_errors[] = {
    "unsupported_value", "unsupported_type", "conflict", "not_found",
    "overload",          "no_memory",        NULL};

const struct sl_kind sl_kind_native = {
    .name = "native",
    .summary = "calls an operation of the engine",
    .fields = native_fields,
    .config_size = sizeof(struct native),
    .frame_size = sizeof(struct native_frame),
    .flags = SL_KIND_TRANSFORMS | SL_KIND_PARKS,
    .outs_max = 1,
    .ins_max = 1,
    .error_codes = native_errors,
    .compile = native_compile,
    .run = native_run,
    .resume = native_resume,
    .cancel = native_cancel,
};
