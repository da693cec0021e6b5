/* SPDX-License-Identifier: MIT */
/* Records of requests, in blocks that go to the control thread and come back. */
#include "nodes/net/access.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/shard/shard.h"
#include "io/http/http.h"

enum { ACCESS_FLUSH_NS = 100 * 1000 * 1000, ACCESS_CLIENT_GONE = 499 };

struct sl_access {
    struct sl_shard *shard;
    struct sl_loop *control;
    sl_access_fn *told;
    void *ctx;
    struct sl_timer timer; /* a block that is not full does not stay for long */
    struct sl_access_block *current;
    struct sl_access_block *free[SL_ACCESS_BLOCKS]; /* array of free_count */
    uint32_t free_count;
    struct sl_access_stats stats;
    uint64_t turn_ns;  /* of the loop's clock: the turn in which the wall clock was asked */
    uint64_t asked_ns; /* and the time of the loop then */
    int64_t wall_ns;   /* what it said */
    struct sl_mail flush;
    bool *flushed;
    struct sl_access_block blocks[SL_ACCESS_BLOCKS];
};

/* ---- the way of a block ---------------------------------------------------------------------- */

static void mail_home(struct sl_mail *mail)
{
    struct sl_access_block *block = sl_container_of(mail, struct sl_access_block, mail);
    struct sl_access *access = block->access;
    sl_assert(access->free_count < SL_ACCESS_BLOCKS);
    block->count = 0;
    access->free[access->free_count++] = block;
}

static void mail_told(struct sl_mail *mail)
{
    struct sl_access_block *block = sl_container_of(mail, struct sl_access_block, mail);
    struct sl_access *access = block->access;
    access->told(access->ctx, block);
    mail->fn = mail_home;
    sl_loop_post(&access->shard->loop, mail);
}

static void current_send(struct sl_access *access)
{
    struct sl_access_block *block = access->current;
    sl_timer_stop(&access->shard->loop.timers, &access->timer);
    if (block == NULL) return;
    access->current = NULL;
    block->mail.fn = mail_told;
    sl_loop_post(access->control, &block->mail);
}

static void on_timer(struct sl_timer *timer)
{
    current_send(sl_container_of(timer, struct sl_access, timer));
}

static void mail_flushed(struct sl_mail *mail)
{
    struct sl_access *access = sl_container_of(mail, struct sl_access, flush);
    *access->flushed = true;
}

static void mail_flush(struct sl_mail *mail)
{
    struct sl_access *access = sl_container_of(mail, struct sl_access, flush);
    current_send(access);
    mail->fn = mail_flushed; /* behind the block: mail keeps its order */
    sl_loop_post(access->control, mail);
}

void sl_access_flush(struct sl_shard *shard, bool *ret_flushed)
{
    struct sl_access *access = shard->access;
    *ret_flushed = access == NULL;
    if (access == NULL) return;
    access->flushed = ret_flushed;
    access->flush.fn = mail_flush;
    sl_loop_post(&shard->loop, &access->flush);
}

/* ---- life ------------------------------------------------------------------------------------ */

int sl_access_attach(struct sl_shard *shard, struct sl_loop *control, sl_access_fn *told, void *ctx)
{
    sl_assert(shard->access == NULL);
    sl_assert(told != NULL);
    struct sl_access *access = calloc(1, sizeof(*access));
    if (access == NULL) return -ENOMEM;
    access->shard = shard;
    access->control = control;
    access->told = told;
    access->ctx = ctx;
    sl_timer_init(&access->timer, on_timer);
    for (uint32_t i = 0; i < SL_ACCESS_BLOCKS; i++) {
        access->blocks[i].access = access;
        access->free[access->free_count++] = &access->blocks[i];
    }
    shard->access = access;
    return 0;
}

void sl_access_detach(struct sl_shard *shard)
{
    free(shard->access);
    shard->access = NULL;
}

/* ---- records --------------------------------------------------------------------------------- */

static struct sl_access_record *record_take(struct sl_access *access)
{
    struct sl_loop *loop = &access->shard->loop;
    if (access->current == NULL) {
        if (access->free_count == 0) {
            access->stats.dropped++;
            return NULL;
        }
        access->current = access->free[--access->free_count];
        sl_timer_start(&loop->timers, &access->timer, loop->now_ns + ACCESS_FLUSH_NS);
    }
    access->stats.records++;
    return &access->current->records[access->current->count++];
}

static void part_put(struct sl_access_record *record, enum sl_access_part part,
                     struct sl_slice text, size_t size_max)
{
    size_t used = 0;
    for (uint32_t i = 0; i < part; i++) used += record->sizes[i];
    size_t size = text.size < size_max ? text.size : size_max;
    if (size > SL_ACCESS_TEXT_SIZE - used) size = SL_ACCESS_TEXT_SIZE - used;
    if (size > 0) memcpy(record->text + used, text.data, size);
    record->sizes[part] = (uint16_t)size;
}

/* The value of a line whose name was recognised: without the white space around it. */
static struct sl_slice value_of(const uint8_t *from, const uint8_t *end)
{
    while (from < end && (*from == ' ' || *from == '\t')) from++;
    while (end > from && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r')) end--;
    return sl_slice_make(from, (size_t)(end - from));
}

/* One field; of several of a name the first counts. */
static void field_take(const uint8_t *line, const uint8_t *end, struct sl_access_head *head)
{
    struct sl_slice *to;
    struct sl_slice name;
    switch (*line | 0x20) {
    case 'x': to = &head->request_id, name = SL_SLICE("x-request-id"); break;
    case 'r': to = &head->referer, name = SL_SLICE("referer"); break;
    case 'u': to = &head->user_agent, name = SL_SLICE("user-agent"); break;
    default: return;
    }
    if (to->data != NULL || (size_t)(end - line) <= name.size || line[name.size] != ':') return;
    if (!sl_slice_eq_nocase(sl_slice_make(line, name.size), name)) return;
    *to = value_of(line + name.size + 1, end);
}

void sl_access_head_read(const uint8_t *data, size_t size, struct sl_access_head *ret_head)
{
    sl_assert(data != NULL);
    sl_assert(ret_head != NULL);
    const uint8_t *end = data + size;
    *ret_head = (struct sl_access_head){.version_minor = 1};
    while (data < end && (*data == '\r' || *data == '\n')) data++;
    const uint8_t *line_end = memchr(data, '\n', (size_t)(end - data));
    sl_assert(line_end != NULL);
    const uint8_t *space = memchr(data, ' ', (size_t)(line_end - data));
    sl_assert(space != NULL);
    ret_head->method = sl_slice_make(data, (size_t)(space - data));
    const uint8_t *target = space + 1;
    space = memchr(target, ' ', (size_t)(line_end - target));
    sl_assert(space != NULL);
    ret_head->target = sl_slice_make(target, (size_t)(space - target));
    sl_assert(line_end - space > 8); /* " HTTP/1.1" */
    ret_head->version_minor = (uint16_t)(space[8] - '0');
    for (const uint8_t *line = line_end + 1; line < end; line = line_end + 1) {
        line_end = memchr(line, '\n', (size_t)(end - line));
        if (line_end == NULL) break;
        field_take(line, line_end, ret_head);
    }
}

/* The head stands at the front of the payload's bytes; it was parsed before, so it is whole. */
static void parts_fill(struct sl_access_record *record, const struct sl_http_request *request)
{
    struct sl_access_head head;
    sl_access_head_read(request->payload.buf->bytes, (size_t)request->head_size, &head);
    struct sl_value remote = sl_value_get_str(request->payload, "remote");
    record->version_minor = head.version_minor;
    part_put(record, SL_ACCESS_METHOD, head.method, 16);
    part_put(record, SL_ACCESS_TARGET, head.target, 200);
    part_put(record, SL_ACCESS_REMOTE,
             sl_value_is(remote, SL_VALUE_STRING) ? sl_value_slice(remote) : SL_SLICE(""), 46);
    part_put(record, SL_ACCESS_REQUEST_ID, head.request_id, 40);
    part_put(record, SL_ACCESS_REFERER, head.referer, 80);
    part_put(record, SL_ACCESS_USER_AGENT, head.user_agent, 100);
}

/* The wall clock is asked once a turn; within it the loop's own time goes on. */
static int64_t wall_of(struct sl_access *access, uint64_t now_ns)
{
    struct sl_loop *loop = &access->shard->loop;
    if (access->turn_ns != loop->now_ns || access->turn_ns == 0) {
        access->turn_ns = loop->now_ns;
        access->wall_ns = loop->clock->wall_ns(loop->clock);
        access->asked_ns = now_ns;
    }
    return access->wall_ns + (int64_t)(now_ns - access->asked_ns);
}

void sl_access_push(struct sl_shard *shard, const struct sl_http_request *request, int status,
                    uint64_t bytes_out, uint64_t duration_ns)
{
    struct sl_access *access = shard->access;
    sl_assert(access != NULL);
    struct sl_access_record *record = record_take(access);
    if (record == NULL) return;
    record->wall_ns = wall_of(access, request->begin_ns + duration_ns);
    record->duration_ns = duration_ns;
    record->bytes_in = request->head_size + request->body_size;
    record->bytes_out = bytes_out;
    record->status = (uint16_t)(status != 0 ? status : ACCESS_CLIENT_GONE);
    sl_http_request_span(request, &record->span, NULL);
    parts_fill(record, request);
    record->sizes[SL_ACCESS_REFUSED] = 0;
    if (access->current->count == SL_ACCESS_RECORDS) current_send(access);
}

void sl_access_push_refused(struct sl_shard *shard, const struct sl_http_refusal *refusal)
{
    struct sl_access *access = shard->access;
    sl_assert(access != NULL);
    struct sl_access_record *record = record_take(access);
    if (record == NULL) return;
    memset(record, 0, offsetof(struct sl_access_record, text));
    record->wall_ns = shard->loop.clock->wall_ns(shard->loop.clock);
    record->status = (uint16_t)refusal->status;
    part_put(record, SL_ACCESS_REMOTE, refusal->remote, 46);
    part_put(record, SL_ACCESS_REFUSED, sl_slice_from_str(refusal->reason), 80);
    if (access->current->count == SL_ACCESS_RECORDS) current_send(access);
}

struct sl_slice sl_access_part(const struct sl_access_record *record, enum sl_access_part part)
{
    sl_assert(part < SL_ACCESS_PARTS);
    size_t at = 0;
    for (uint32_t i = 0; i < part; i++) at += record->sizes[i];
    return sl_slice_make(record->text + at, record->sizes[part]);
}

void sl_access_stats_get(const struct sl_shard *shard, struct sl_access_stats *ret_stats)
{
    const struct sl_access *access = shard->access;
    *ret_stats = access != NULL ? access->stats : (struct sl_access_stats){0};
}
