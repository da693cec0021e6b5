/* SPDX-License-Identifier: MIT */
#include "ctl/admin/trace_slot.h"

#include <errno.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/graph/program.h"
#include "core/graph/span.h"
#include "io/http/http.h"

/* ---- text ------------------------------------------------------------------------------------ */

/* What the writing of one record needs. */
struct draft {
    struct trace_slot *slot;
    struct sl_trace_mask mask;
    struct sl_trace_text text;
    size_t payload_size;
};

static void put_value(struct draft *draft, const char *name, struct sl_value value)
{
    if (draft->payload_size == 0) return;
    sl_trace_text_print(&draft->text, ",\"%s\":", name);
    sl_trace_text_value(&draft->text, &draft->mask, value, draft->payload_size);
}

/* A name that its author chose: never longer than a spec allows, and no secret, but escaped. */
static void put_name(struct draft *draft, const char *member, const char *name)
{
    const struct sl_trace_mask nothing = {.show_credentials = true};
    sl_trace_text_print(&draft->text, ",\"%s\":", member);
    sl_trace_text_string(&draft->text, &nothing, sl_slice_from_str(name), TRACE_NODE_SIZE);
}

static void put_port(struct draft *draft, const char *member, uint32_t port)
{
    if (port == SL_PORT_ERROR) {
        sl_trace_text_print(&draft->text, ",\"%s\":\"error\"", member);
    } else if (port == 0) {
        sl_trace_text_print(&draft->text, ",\"%s\":\"%s\"", member, member);
    } else {
        sl_trace_text_print(&draft->text, ",\"%s\":\"%s[%u]\"", member, member, port);
    }
}

static void put_took(struct draft *draft, const struct sl_trace_hop *hop)
{
    if (hop->end_ns == 0) return; /* it never came back */
    sl_trace_text_print(&draft->text, ",\"took_ns\":%llu",
                        (unsigned long long)(hop->end_ns - hop->begin_ns));
}

static bool has_edge(const struct sl_symbol *symbol, uint32_t port)
{
    if (port == SL_PORT_ERROR) return symbol->error.edges_count > 0;
    return port < symbol->ports_count && symbol->ports[port].edges_count > 0;
}

/* Where the packet went, and with what. */
static void put_step(struct draft *draft, const struct sl_trace_hop *hop)
{
    static const char *const names[] = {"answer", "emit", "call", "fail", "park"};
    uint32_t port = hop->step == SL_STEP_FAIL ? SL_PORT_ERROR : hop->port_out;
    bool leaves = hop->step != SL_STEP_ANSWER && hop->step != SL_STEP_PARK;
    bool has = leaves && has_edge(hop->symbol, port);
    const char *name = names[hop->step];
    if (hop->step == SL_STEP_EMIT && !has) {
        name = hop->symbol->kind->flags & SL_KIND_ROUTES ? "no_route" : "answer";
    }
    put_took(draft, hop);
    if (hop->end_ns == 0) return;
    sl_trace_text_print(&draft->text, ",\"step\":\"%s\"", name);
    if (has) put_port(draft, "out", port);
    if (hop->step == SL_STEP_PARK) return;
    if (hop->output.cell != hop->input.cell) put_value(draft, "value", hop->output);
}

/* When the hop before on the same frame had come back: since then it waited. */
static void put_waited(struct draft *draft, const struct sl_trace_hop *hop)
{
    if (hop->cause == SL_TRACE_NONE) return;
    uint64_t since_ns = draft->slot->hops[hop->cause].end_ns;
    if (since_ns == 0 || since_ns > hop->begin_ns) return;
    sl_trace_text_print(&draft->text, ",\"waited_ns\":%llu",
                        (unsigned long long)(hop->begin_ns - since_ns));
}

static void put_hop(struct draft *draft, const struct sl_trace_hop *hop, bool is_last)
{
    static const char *const events[] = {"send", "call", "resume", "remote", "join", "answer"};
    sl_trace_text_print(&draft->text, "\"event\":\"%s\"", events[hop->event]);
    if (hop->symbol != NULL) {
        put_name(draft, "node", hop->symbol->node->path);
        put_name(draft, "kind", hop->symbol->kind->name);
    }
    switch ((enum sl_trace_event)hop->event) {
    case SL_TRACE_SEND:
        put_port(draft, "out", hop->port_out);
        if (hop != draft->slot->hops) put_value(draft, "value", hop->output);
        break;
    case SL_TRACE_CALL:
        put_port(draft, "in", hop->port_in);
        put_step(draft, hop);
        break;
    case SL_TRACE_RESUME:
        put_waited(draft, hop);
        put_value(draft, "input", hop->input);
        put_step(draft, hop);
        break;
    case SL_TRACE_REMOTE:
        put_port(draft, "in", hop->port_in);
        sl_trace_text_print(&draft->text, ",\"to_shard\":%u", hop->shard);
        put_took(draft, hop);
        break;
    case SL_TRACE_JOIN: put_value(draft, "value", hop->output); break;
    case SL_TRACE_ANSWER:
        if (!is_last) put_value(draft, "value", hop->output);
        break;
    }
}

static void put_hex(struct draft *draft, const char *member, const uint8_t *bytes, size_t size)
{
    char text[32];
    sl_assert(2 * size <= sizeof(text));
    sl_span_hex(bytes, size, text);
    sl_trace_text_print(&draft->text, ",\"%s\":\"%.*s\"", member, (int)(2 * size), text);
}

static void put_span(struct draft *draft, const struct sl_span *span)
{
    put_hex(draft, "trace_id", span->trace_id, sizeof(span->trace_id));
    put_hex(draft, "span_id", span->id, sizeof(span->id));
    if (sl_span_is_root(span)) return;
    put_hex(draft, "parent_id", span->parent, sizeof(span->parent));
}

/* Members of the whole line. */
static void put_head(struct draft *draft)
{
    const struct sl_trace *trace = &draft->slot->trace;
    const struct sl_program *program = trace->process->instance->program;
    struct sl_value answer = sl_value_none();
    bool is_answered = false;
    for (uint32_t i = 0; i < trace->hops_count; i++) {
        if (trace->hops[i].event != SL_TRACE_ANSWER) continue;
        answer = trace->hops[i].output;
        is_answered = true;
    }
    sl_trace_text_print(&draft->text, ",\"revision\":%llu", (unsigned long long)program->revision);
    put_span(draft, &draft->slot->record.span);
    if (trace->hops_count > 0) put_name(draft, "node", trace->hops[0].symbol->node->path);
    if (is_answered) {
        sl_trace_text_print(&draft->text, ",\"status\":%d", sl_http_answer_status(answer));
    }
    if (trace->process->cancelled) sl_trace_text_print(&draft->text, ",\"cancelled\":true");
    if (trace->hops_count > 0) put_value(draft, "request", trace->hops[0].output);
    if (is_answered) put_value(draft, "answer", answer);
}

static void record_write(struct trace_slot *slot)
{
    struct trace_record *record = &slot->record;
    const struct sl_trace *trace = &slot->trace;
    const struct trace_session *session = slot->part->session;
    const struct sl_program *program = trace->process->instance->program;
    struct draft draft = {
        .slot = slot,
        .text = {.data = record->text, .cap = sizeof(record->text)},
        .payload_size = session->payload_size,
        .mask = {.secrets = program->mask, .show_credentials = session->show_credentials},
    };
    if (trace->parent == 0) put_head(&draft);
    sl_assert(!draft.text.is_full); /* two payloads and a few names fit */
    record->head_size = (uint32_t)draft.text.size;
    record->hops_count = 0;
    record->hops_lost = trace->hops_lost;
    for (uint32_t i = 0; i < trace->hops_count; i++) {
        size_t at = draft.text.size;
        put_hop(&draft, &trace->hops[i], i + 1 == trace->hops_count);
        if (draft.text.is_full) {
            record->hops_lost += trace->hops_count - i;
            draft.text.size = at;
            break;
        }
        record->hops[record->hops_count++] = (struct trace_hop_text){
            .begin_ns = trace->hops[i].begin_ns,
            .at = (uint32_t)at,
            .size = (uint32_t)(draft.text.size - at),
            .cause = trace->hops[i].cause,
        };
    }
    record->text_size = (uint32_t)draft.text.size;
}

/* ---- recording ------------------------------------------------------------------------------- */

/* "block" is also all that stands in it. */
static bool is_node(const struct sl_symbol *symbol, const char *name)
{
    size_t size = strlen(name);
    const char *path = symbol->node->path;
    return strncmp(path, name, size) == 0 && (path[size] == '\0' || path[size] == '/');
}

static bool is_matched(const struct trace_slot *slot)
{
    const char *node = slot->part->session->node;
    if (node[0] == '\0') return true;
    for (uint32_t i = 0; i < slot->trace.hops_count; i++) {
        const struct sl_symbol *symbol = slot->trace.hops[i].symbol;
        if (symbol != NULL && is_node(symbol, node)) return true;
    }
    return false;
}

static bool has_remote(const struct trace_slot *slot)
{
    for (uint32_t i = 0; i < slot->trace.hops_count; i++) {
        if (slot->trace.hops[i].event == SL_TRACE_REMOTE) return true;
    }
    return false;
}

static void mail_record(struct sl_mail *mail)
{
    struct trace_slot *slot = sl_container_of(mail, struct trace_slot, mail);
    slot->part->session->told(slot);
}

/* The process has ended: what was recorded becomes text, as long as its program is there. */
static void on_ended(struct sl_process *process, void *ctx)
{
    struct trace_slot *slot = ctx;
    struct trace_record *record = &slot->record;
    sl_assert(slot->trace.process == process);
    process->trace = NULL;
    record->is_matched = is_matched(slot);
    record->end_ns = sl_loop_fast_ns(&process->shard->loop);
    /* A node that was asked for may be on another shard: then the control thread knows. */
    if (!record->is_matched && slot->trace.parent == 0 && !has_remote(slot)) {
        sl_trace_clear(&slot->trace);
        trace_slot_free(slot);
        return;
    }
    record_write(slot);
    sl_trace_clear(&slot->trace);
    slot->mail.fn = mail_record;
    sl_loop_post(slot->part->session->control, &slot->mail);
}

static struct trace_slot *slot_take(struct trace_part *part, struct sl_process *process)
{
    if (part->free_count == 0) {
        part->missed++;
        return NULL;
    }
    struct trace_slot *slot = part->free[part->free_count - 1];
    if (sl_process_hook_add(process, on_ended, slot) < 0) {
        part->missed++;
        return NULL;
    }
    part->free_count--;
    part->begun++;
    uint64_t key = ((uint64_t)part->shard->index + 1) << 56 |
                   ((uint64_t)part->session->number & 0xffff) << 40 | ++part->sequence;
    slot->trace = (struct sl_trace){
        .process = process, .hops = slot->hops, .hops_cap = SL_TRACE_HOPS_MAX, .key = key};
    process->trace = &slot->trace;
    struct trace_record *record = &slot->record;
    struct sl_loop *loop = &part->shard->loop;
    record->key = key;
    record->parent = 0;
    record->parent_hop = SL_TRACE_NONE;
    record->shard = part->shard->index;
    record->begin_ns = sl_loop_fast_ns(loop);
    record->wall_ns = loop->clock->wall_ns(loop->clock);
    sl_process_span_get(process, &record->span, NULL); /* now: its request may end before it */
    return slot;
}

/* Names may be told, values of the request not: they stand behind a colon. */
static void when_error_keep(struct trace_part *part, struct sl_value error)
{
    struct sl_slice text = sl_value_slice(sl_error_part(error, SL_ERROR_MESSAGE));
    const uint8_t *colon = text.size > 0 ? memchr(text.data, ':', text.size) : NULL;
    bool is_name = sl_slice_has_prefix(text, SL_SLICE("no such key: "));
    if (colon != NULL && !is_name) text.size = (size_t)(colon - text.data);
    if (text.size >= sizeof(part->when_error)) text.size = sizeof(part->when_error) - 1;
    if (text.size > 0) memcpy(part->when_error, text.data, text.size);
    part->when_error[text.size] = '\0';
}

/* Does the condition hold for this request? */
static bool is_wanted(struct trace_part *part, struct sl_process *process, struct sl_value payload)
{
    if (!part->session->has_when) return true;
    struct sl_call call = {
        .value = payload,
        .process = process,
        .shard = part->shard,
        .mem = part->shard->loop.mem,
    };
    struct sl_value error;
    int result = sl_script_use_test(&part->session->when, part->when_instance, &call, &error);
    if (result < 0) {
        if (part->when_errors++ == 0) {
            when_error_keep(part, error);
        }
        sl_value_unref(error);
    }
    return result == 1;
}

static void on_begin(struct sl_tracer *tracer, struct sl_process *process,
                     const struct sl_symbol *source, struct sl_value payload)
{
    struct trace_part *part = (struct trace_part *)tracer;
    (void)source;
    if (atomic_load_explicit(&part->session->is_stopping, memory_order_relaxed)) return;
    if (is_wanted(part, process, payload)) (void)slot_take(part, process);
}

static void on_join(struct sl_tracer *tracer, struct sl_process *process, uint64_t parent,
                    uint8_t parent_hop)
{
    struct trace_part *part = (struct trace_part *)tracer;
    /* A caller of an older session: nobody waits for it. */
    if ((parent >> 40 & 0xffff) != (part->session->number & 0xffff)) return;
    struct trace_slot *slot = slot_take(part, process);
    if (slot == NULL) return;
    slot->trace.parent = parent;
    slot->trace.parent_hop = parent_hop;
    slot->record.parent = parent;
    slot->record.parent_hop = parent_hop;
}

/* ---- life ------------------------------------------------------------------------------------ */

void trace_part_init(struct trace_part *part, struct trace_session *session, struct sl_shard *shard)
{
    sl_assert(part != NULL);
    sl_assert(session != NULL);
    part->tracer = (struct sl_tracer){.begin = on_begin, .join = on_join};
    part->session = session;
    part->shard = shard;
    for (uint32_t i = 0; i < SL_TRACE_SLOTS; i++) {
        part->slots[i].part = part;
        part->free[part->free_count++] = &part->slots[i];
    }
}

void trace_part_attach(struct trace_part *part)
{
    sl_assert(part->shard->tracer == NULL);
    if (part->session->has_when) {
        part->attach_result = sl_script_use_attach(&part->session->when, part->shard,
                                                   &part->when_instance, &part->attach_diag);
    }
    if (part->attach_result == 0) part->shard->tracer = &part->tracer;
}

void trace_part_detach(struct trace_part *part)
{
    for (uint32_t i = 0; i < SL_TRACE_SLOTS; i++) {
        struct trace_slot *slot = &part->slots[i];
        struct sl_process *process = slot->trace.process;
        if (process == NULL) continue;
        process->trace = NULL;
        sl_process_hook_remove(process, on_ended, slot);
        sl_trace_clear(&slot->trace);
    }
    if (part->shard->tracer != &part->tracer) return;
    part->shard->tracer = NULL;
    if (part->session->has_when) {
        sl_script_use_detach(&part->session->when, part->shard, part->when_instance);
    }
}

void trace_slot_free(struct trace_slot *slot)
{
    struct trace_part *part = slot->part;
    sl_assert(slot->trace.process == NULL);
    sl_assert(part->free_count < SL_TRACE_SLOTS);
    part->free[part->free_count++] = slot;
}
