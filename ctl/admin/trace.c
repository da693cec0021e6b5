/* SPDX-License-Identifier: MIT */
/* Tracing, the control thread's side: sessions, and lines from what the shards recorded. */
#include "ctl/admin/trace.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/json/json.h"
#include "codecs/text/time.h"
#include "core/base/assertion.h"
#include "core/mem/out.h"
#include "ctl/admin/trace_slot.h"

enum session_end { END_COUNT, END_TIMEOUT, END_STOPPED };

enum {
    TRACE_RECORDS_MAX = 32, /* of one request: its own, and of packets on other shards */
    TRACE_PAGE_SIZE = 4096,
};

/* A record of another shard's that waits for the request's own. */
struct waiting_record {
    struct sl_list link;
    struct trace_record *record; /* owned; its text is only as long as it has to be */
};

struct session {
    struct trace_session shared; /* first */
    struct sl_traces *traces;
    struct sl_trace_reader reader;
    bool has_reader;
    bool is_detaching;
    bool has_begun;
    enum session_end why;
    struct sl_diag diag; /* what a shard said when it was to be attached */
    uint32_t count;      /* wanted */
    uint32_t traced;     /* lines put */
    uint64_t dropped;    /* the reader was behind */
    uint32_t attached;   /* mails that are not back */
    uint32_t parts_left; /* not detached */
    struct sl_timer timer;
    struct sl_list waiting;
    uint32_t waiting_count;
    struct trace_part *parts[SL_SHARDS_MAX]; /* array of traces->shards_count */
};

struct sl_traces {
    struct sl_loop *control;
    struct sl_shard *const *shards;
    uint32_t shards_count;
    uint32_t sessions_count;
    struct session *session; /* or NULL */
};

/* ---- lines ----------------------------------------------------------------------------------- */

static void print(struct sl_out *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void print(struct sl_out *out, const char *fmt, ...)
{
    char text[256];
    va_list args;
    va_start(args, fmt);
    int size = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    sl_assert(size >= 0);
    sl_assert((size_t)size < sizeof(text));
    sl_out_append(out, text, (size_t)size);
}

/* All records of one request. */
struct gathered {
    const struct trace_record *records[TRACE_RECORDS_MAX]; /* the request's own first */
    uint32_t count;
    bool is_matched;
};

/* A hop among all of them. */
struct placed {
    uint64_t begin_ns;
    uint32_t record;
    uint32_t hop; /* of that record */
};

static int placed_compare(const void *a, const void *b)
{
    const struct placed *one = a;
    const struct placed *other = b;
    if (one->begin_ns != other->begin_ns) return one->begin_ns < other->begin_ns ? -1 : 1;
    if (one->record != other->record) return one->record < other->record ? -1 : 1;
    return one->hop < other->hop ? -1 : one->hop > other->hop;
}

/* The place of a hop of a record, or -1. */
static int64_t place_of(const struct placed *placed, uint32_t count, uint32_t record, uint32_t hop)
{
    for (uint32_t i = 0; i < count; i++) {
        if (placed[i].record == record && placed[i].hop == hop) return i;
    }
    return -1;
}

/* The hop that led to `at`: of the same record, or the one that sent the packet over. */
static int64_t cause_of(const struct gathered *from, const struct placed *placed, uint32_t count,
                        const struct placed *at)
{
    const struct trace_record *record = from->records[at->record];
    uint8_t cause = record->hops[at->hop].cause;
    if (cause != SL_TRACE_NONE) return place_of(placed, count, at->record, cause);
    if (record->parent == 0) return -1;
    for (uint32_t i = 0; i < from->count; i++) {
        if (from->records[i]->key != record->parent) continue;
        return place_of(placed, count, i, record->parent_hop);
    }
    return -1;
}

static uint64_t since(uint64_t now_ns, uint64_t begin_ns)
{
    return now_ns > begin_ns ? now_ns - begin_ns : 0;
}

static void hops_write(struct sl_out *out, const struct gathered *from, const struct placed *placed,
                       uint32_t count)
{
    sl_out_append(out, "\"hops\":[", 8);
    for (uint32_t i = 0; i < count; i++) {
        const struct trace_record *record = from->records[placed[i].record];
        const struct trace_hop_text *hop = &record->hops[placed[i].hop];
        int64_t cause = cause_of(from, placed, count, &placed[i]);
        print(out, "%s{\"hop\":%u,", i > 0 ? "," : "", i);
        if (cause >= 0) print(out, "\"cause\":%lld,", (long long)cause);
        print(out, "\"at_ns\":%llu,\"shard\":%u,",
              (unsigned long long)since(hop->begin_ns, from->records[0]->begin_ns), record->shard);
        sl_out_append(out, record->text + hop->at, hop->size);
        sl_out_append_byte(out, '}');
    }
    sl_out_append(out, "]}\n", 3);
}

/* Everything that is known of one request, in the order of time. */
static int line_write(struct sl_out *out, const struct gathered *from, uint32_t number)
{
    const struct trace_record *own = from->records[0];
    uint32_t count = 0;
    uint32_t lost = 0;
    for (uint32_t i = 0; i < from->count; i++) {
        count += from->records[i]->hops_count;
        lost += from->records[i]->hops_lost;
    }
    struct placed *placed = malloc((count + 1U) * sizeof(*placed));
    if (placed == NULL) return -ENOMEM;
    uint32_t at = 0;
    for (uint32_t i = 0; i < from->count; i++) {
        for (uint32_t hop = 0; hop < from->records[i]->hops_count; hop++) {
            placed[at++] = (struct placed){from->records[i]->hops[hop].begin_ns, i, hop};
        }
    }
    qsort(placed, count, sizeof(*placed), placed_compare);
    char time[SL_TEXT_TIME_SIZE];
    int64_t seconds = own->wall_ns / (int64_t)SL_NS_PER_SEC;
    size_t size =
        sl_text_time_write(seconds, (uint32_t)(own->wall_ns % (int64_t)SL_NS_PER_SEC), time);
    print(out, "{\"trace\":%u,\"time\":\"%.*s\",\"shard\":%u,\"duration_ns\":%llu", number,
          (int)size, time, own->shard, (unsigned long long)since(own->end_ns, own->begin_ns));
    sl_out_append(out, own->text, own->head_size);
    print(out, ",\"hops_lost\":%u,", lost);
    hops_write(out, from, placed, count);
    free(placed);
    return out->error;
}

/* ---- records --------------------------------------------------------------------------------- */

static void waiting_free(struct session *session, struct waiting_record *waiting)
{
    sl_list_remove(&waiting->link);
    session->waiting_count--;
    free(waiting->record);
    free(waiting);
}

/* Keep a copy; the oldest goes when there are too many. */
static void waiting_add(struct session *session, const struct trace_record *record)
{
    size_t size = offsetof(struct trace_record, text) + record->text_size;
    struct waiting_record *waiting = malloc(sizeof(*waiting));
    struct trace_record *copy = malloc(size);
    if (waiting == NULL || copy == NULL) {
        free(waiting);
        free(copy);
        return;
    }
    memcpy(copy, record, size);
    waiting->record = copy;
    sl_list_insert(&session->waiting, &waiting->link);
    session->waiting_count++;
    if (session->waiting_count <= SL_TRACE_PARTS_MAX) return;
    waiting_free(session, sl_container_of(session->waiting.next, struct waiting_record, link));
}

/* A record of another shard comes before the one it belongs to: the answer followed it. */
static void gather(struct session *session, const struct trace_record *own, struct gathered *ret)
{
    ret->records[0] = own;
    ret->count = 1;
    ret->is_matched = own->is_matched;
    for (uint32_t i = 0; i < ret->count; i++) {
        for (struct sl_list *at = session->waiting.next; at != &session->waiting; at = at->next) {
            const struct trace_record *record =
                sl_container_of(at, struct waiting_record, link)->record;
            if (record->parent != ret->records[i]->key) continue;
            if (ret->count == TRACE_RECORDS_MAX) return;
            ret->records[ret->count++] = record;
            ret->is_matched |= record->is_matched;
        }
    }
}

static void gathered_fini(struct session *session, const struct gathered *gathered)
{
    for (struct sl_list *at = session->waiting.next; at != &session->waiting;) {
        struct waiting_record *waiting = sl_container_of(at, struct waiting_record, link);
        at = at->next;
        for (uint32_t i = 1; i < gathered->count; i++) {
            if (gathered->records[i] != waiting->record) continue;
            waiting_free(session, waiting);
            break;
        }
    }
}

static void session_detach(struct session *session, enum session_end why);

/* A line for the reader, if it keeps up. */
static void line_put(struct session *session, const struct gathered *gathered)
{
    struct sl_out out;
    sl_out_init(&out, NULL);
    int r = line_write(&out, gathered, session->traced);
    int64_t unread = session->reader.put(session->reader.ctx, SL_SLICE(""));
    if (r < 0 || unread > SL_TRACE_UNREAD_SIZE_MAX) {
        session->dropped++;
    } else if (unread >= 0) {
        (void)session->reader.put(session->reader.ctx, sl_slice_make(out.data, out.size));
        session->traced++;
    }
    sl_out_fini(&out);
    if (session->traced == session->count) session_detach(session, END_COUNT);
}

static void mail_home(struct sl_mail *mail)
{
    trace_slot_free(sl_container_of(mail, struct trace_slot, mail));
}

static void on_told(struct trace_slot *slot)
{
    struct session *session = (struct session *)slot->part->session;
    const struct trace_record *record = &slot->record;
    if (session->is_detaching) return; /* the slot goes with the session */
    if (record->parent != 0) {
        waiting_add(session, record);
    } else {
        struct gathered gathered;
        gather(session, record, &gathered);
        if (gathered.is_matched && session->has_reader) line_put(session, &gathered);
        gathered_fini(session, &gathered);
    }
    if (session->is_detaching) return;
    slot->mail.fn = mail_home;
    sl_loop_post(&slot->part->shard->loop, &slot->mail);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void session_free(struct session *session)
{
    if (session == NULL) return;
    sl_timer_stop(&session->traces->control->timers, &session->timer);
    while (!sl_list_is_empty(&session->waiting)) {
        waiting_free(session, sl_container_of(session->waiting.next, struct waiting_record, link));
    }
    for (uint32_t i = 0; i < session->traces->shards_count; i++) free(session->parts[i]);
    sl_script_use_fini(&session->shared.when);
    free(session);
}

/* What the first request said for which --when could not be evaluated. */
static void when_error_put(const struct session *session, struct sl_out *out)
{
    uint32_t i = 0;
    while (i < session->traces->shards_count && session->parts[i]->when_errors == 0) i++;
    if (i == session->traces->shards_count) return;
    const char *said = session->parts[i]->when_error;
    struct sl_value text = sl_value_new_string(NULL, said, (uint32_t)strlen(said));
    if (sl_value_is_none(text)) return;
    print(out, ",\"when_error\":");
    (void)sl_json_write(text, 0, out);
    sl_value_unref(text);
}

static void last_line_put(struct session *session)
{
    static const char *const names[] = {"count", "timeout", "stopped"};
    uint64_t missed = 0;
    uint64_t errors = 0;
    for (uint32_t i = 0; i < session->traces->shards_count; i++) {
        missed += session->parts[i]->missed;
        errors += session->parts[i]->when_errors;
    }
    struct sl_out out;
    sl_out_init(&out, NULL);
    print(&out, "{\"end\":\"%s\",\"traced\":%u,\"missed\":%llu,\"dropped\":%llu",
          names[session->why], session->traced, (unsigned long long)missed,
          (unsigned long long)session->dropped);
    print(&out, ",\"when_errors\":%llu", (unsigned long long)errors);
    when_error_put(session, &out);
    sl_out_append(&out, "}\n", 2);
    if (out.error == 0) {
        (void)session->reader.put(session->reader.ctx, sl_slice_make(out.data, out.size));
    }
    sl_out_fini(&out);
}

/* All shards have let go: nobody else knows the session now. */
static void session_end(struct session *session)
{
    session->traces->session = NULL;
    if (session->has_reader) {
        if (session->has_begun) last_line_put(session);
        session->reader.ended(session->reader.ctx, session->has_begun ? NULL : &session->diag);
    }
    session_free(session);
}

static void mail_detached(struct sl_mail *mail)
{
    struct trace_part *part = sl_container_of(mail, struct trace_part, mail);
    struct session *session = (struct session *)part->session;
    sl_assert(session->parts_left > 0);
    if (--session->parts_left == 0) session_end(session);
}

static void mail_detach(struct sl_mail *mail)
{
    struct trace_part *part = sl_container_of(mail, struct trace_part, mail);
    trace_part_detach(part);
    mail->fn = mail_detached;
    sl_loop_post(part->session->control, mail);
}

/* Mail keeps its order: slots that are under way arrive before the shard says that it is done. */
static void parts_detach(struct session *session)
{
    session->parts_left = session->traces->shards_count;
    for (uint32_t i = 0; i < session->traces->shards_count; i++) {
        session->parts[i]->mail.fn = mail_detach;
        sl_loop_post(&session->parts[i]->shard->loop, &session->parts[i]->mail);
    }
}

static void session_detach(struct session *session, enum session_end why)
{
    if (session->is_detaching) return;
    session->is_detaching = true;
    session->why = why;
    atomic_store_explicit(&session->shared.is_stopping, true, memory_order_relaxed);
    sl_timer_stop(&session->traces->control->timers, &session->timer);
    if (session->attached == 0) parts_detach(session);
}

static void on_timer(struct sl_timer *timer)
{
    session_detach(sl_container_of(timer, struct session, timer), END_TIMEOUT);
}

/* ---- the beginning --------------------------------------------------------------------------- */

static void mail_attached(struct sl_mail *mail)
{
    struct trace_part *part = sl_container_of(mail, struct trace_part, mail);
    struct session *session = (struct session *)part->session;
    sl_assert(session->attached > 0);
    session->attached--;
    if (part->attach_result < 0 && !session->is_detaching) {
        session->diag = part->attach_diag;
        session_detach(session, END_STOPPED);
        return;
    }
    if (session->attached > 0) return;
    if (session->is_detaching) {
        parts_detach(session);
        return;
    }
    session->has_begun = true;
    session->reader.began(session->reader.ctx);
}

static void mail_attach(struct sl_mail *mail)
{
    struct trace_part *part = sl_container_of(mail, struct trace_part, mail);
    trace_part_attach(part);
    mail->fn = mail_attached;
    sl_loop_post(part->session->control, mail);
}

static int when_compile(struct session *session, struct sl_slice when, struct sl_diag *reterr)
{
    if (when.size == 0) return 0;
    struct sl_script_source source = {
        .code = when,
        .file = "",
        .pos = {1, 1},
        .name = "when",
        .timeout_ms = SL_TRACE_WHEN_TIMEOUT_MS,
    };
    int r = sl_script_use_make("cel", &source, &session->shared.when, reterr);
    session->shared.has_when = r == 0;
    return r;
}

/* The kernel gives the memory now, to this thread, and not page by page to the shard. */
static void pages_touch(void *data, size_t size)
{
    volatile uint8_t *bytes = data;
    for (size_t at = 0; at < size; at += TRACE_PAGE_SIZE) bytes[at] = 0;
}

static int session_fill(struct session *session, const struct sl_trace_options *options,
                        struct sl_diag *reterr)
{
    struct trace_session *shared = &session->shared;
    shared->payload_size = options->payload_size;
    shared->number = session->traces->sessions_count;
    shared->show_credentials = options->show_credentials;
    shared->control = session->traces->control;
    shared->told = on_told;
    if (options->node.size >= sizeof(shared->node)) {
        return sl_diag_set(reterr, "too_long", (struct sl_pos){0, 0},
                           "no node has a name of %zu bytes", options->node.size);
    }
    if (options->node.size > 0) memcpy(shared->node, options->node.data, options->node.size);
    for (uint32_t i = 0; i < session->traces->shards_count; i++) {
        session->parts[i] = calloc(1, sizeof(*session->parts[i]));
        if (session->parts[i] == NULL) return -ENOMEM;
        pages_touch(session->parts[i], sizeof(*session->parts[i]));
        trace_part_init(session->parts[i], shared, session->traces->shards[i]);
    }
    return when_compile(session, options->when, reterr);
}

int sl_traces_begin(struct sl_traces *traces, const struct sl_trace_options *options,
                    const struct sl_trace_reader *reader, struct sl_diag *reterr)
{
    sl_assert(traces != NULL);
    sl_assert(options->count >= 1);
    sl_assert(options->payload_size <= SL_TRACE_PAYLOAD_SIZE_MAX);
    if (traces->session != NULL) return -EBUSY;
    struct session *session = calloc(1, sizeof(*session));
    if (session == NULL) return -ENOMEM;
    session->traces = traces;
    session->reader = *reader;
    session->has_reader = true;
    session->count = options->count;
    sl_list_init(&session->waiting);
    sl_timer_init(&session->timer, on_timer);
    traces->sessions_count++;
    int r = session_fill(session, options, reterr);
    if (r < 0) {
        session_free(session);
        return r;
    }
    traces->session = session;
    session->attached = traces->shards_count;
    for (uint32_t i = 0; i < traces->shards_count; i++) {
        session->parts[i]->mail.fn = mail_attach;
        sl_loop_post(&traces->shards[i]->loop, &session->parts[i]->mail);
    }
    if (options->timeout_ms == 0) return 0;
    sl_timer_start(&traces->control->timers, &session->timer,
                   traces->control->now_ns + options->timeout_ms * SL_NS_PER_MS);
    return 0;
}

void sl_traces_end(struct sl_traces *traces)
{
    if (traces->session == NULL) return;
    traces->session->has_reader = false;
    session_detach(traces->session, END_STOPPED);
}

void sl_traces_stop(struct sl_traces *traces)
{
    if (traces->session != NULL) session_detach(traces->session, END_STOPPED);
}

/* ---- life ------------------------------------------------------------------------------------ */

struct sl_traces *sl_traces_new(struct sl_loop *control, struct sl_shard *const *shards,
                                uint32_t count)
{
    sl_assert(control != NULL);
    sl_assert(count <= SL_SHARDS_MAX);
    struct sl_traces *traces = calloc(1, sizeof(*traces));
    if (traces == NULL) return NULL;
    traces->control = control;
    traces->shards = shards;
    traces->shards_count = count;
    return traces;
}

bool sl_traces_is_busy(const struct sl_traces *traces)
{
    return traces->session != NULL;
}

struct sl_traces *sl_traces_free(struct sl_traces *traces)
{
    if (traces == NULL) return NULL;
    sl_assert(traces->session == NULL);
    free(traces);
    return NULL;
}
