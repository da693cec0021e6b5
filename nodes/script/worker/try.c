/* SPDX-License-Identifier: MIT */
/*
 * A script tried in a worker that belongs to no shard, on the control thread, which waits: what a
 * load of it ends with is known before any shard has it. What the worker says is hostile here, too.
 *
 *     spawn ── READY ── LOAD ──► LOADED: it is right, or why not
 *                          └──► nothing in time, or the process dies: why
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/text/utf8.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"
#include "nodes/script/worker/pool.h"

enum { MESSAGE_SIZE = 64 * 1024, GONE_MS = 1000 };

/* The worker that tries; kept for the next script. Control thread. */
static struct {
    struct sl_shm shm;
    struct sl_proc proc;
    bool is_open;
    bool is_ready;
    uint64_t script_id;
} tried;

/* What came last. */
struct message {
    uint32_t kind;
    size_t size;
    _Alignas(8) uint8_t data[MESSAGE_SIZE];
};

static int try_open(struct sl_diag *reterr)
{
    struct sl_shm_config cfg = {
        .ring_size = SL_WORKER_RING_SIZE,
        .slab_size = SL_WORKER_SLAB_SIZE,
        .creator_wake = SL_SHM_EVENTFD,
        .peer_wake = SL_SHM_FUTEX,
        .hostile = true,
    };
    int r = sl_shm_init(&tried.shm, &cfg, reterr);
    if (r < 0) return r;
    /* Of the ordinary class: where all processors are busy it would come to no verdict else. */
    r = worker_spawn(&tried.shm, &tried.proc, reterr);
    if (r < 0) sl_shm_fini(&tried.shm);
    tried.is_open = r == 0;
    tried.is_ready = false;
    tried.script_id = 0;
    return r;
}

void sl_worker_try_fini(void)
{
    int signal = 0;
    int code = 0;
    if (!tried.is_open) return;
    sl_proc_signal(&tried.proc, SIGKILL);
    struct pollfd gone = {.fd = tried.proc.pidfd, .events = POLLIN};
    while (poll(&gone, 1, GONE_MS) < 0 && errno == EINTR) {}
    (void)sl_proc_reap(&tried.proc, &signal, &code);
    sl_proc_fini(&tried.proc);
    sl_shm_fini(&tried.shm);
    tried.is_open = false;
}

/* Sleep until there is something to hear, it has ended, or the time is up. */
static void try_sleep(uint64_t until_ns, bool *ret_gone)
{
    uint64_t now_ns = sl_clock_now_ns(sl_clock_system());
    struct pollfd fds[2] = {
        {.fd = sl_shm_bell_fd(&tried.shm), .events = POLLIN},
        {.fd = tried.proc.pidfd, .events = POLLIN},
    };
    if (now_ns >= until_ns || !sl_shm_arm(&tried.shm, false)) return;
    int timeout_ms = (int)((until_ns - now_ns + SL_NS_PER_MS - 1) / SL_NS_PER_MS);
    if (poll(fds, 2, timeout_ms) > 0) *ret_gone = (fds[1].revents & POLLIN) != 0;
    sl_shm_disarm(&tried.shm);
}

/*
 * The next message that is no line of the log.
 * returns  0; -ETIMEDOUT; -EPIPE: it has ended; -EPROTO: what it says cannot be
 */
static int try_hear(struct message *message, uint64_t wait_ns)
{
    uint64_t until_ns = sl_clock_now_ns(sl_clock_system()) + wait_ns;
    bool gone = false;
    for (uint32_t count = 0; count < SL_WORKER_MESSAGES_MAX;) {
        int r = sl_ring_copy(&tried.shm.consumer, message->data, sizeof(message->data),
                             &message->size, &message->kind);
        if (r < 0) return -EPROTO;
        if (r == 1) {
            sl_shm_release(&tried.shm);
            if (message->kind != WIRE_LOG) return 0;
            count++;
            continue;
        }
        if (gone) return -EPIPE;
        if (sl_clock_now_ns(sl_clock_system()) >= until_ns) return -ETIMEDOUT;
        try_sleep(until_ns, &gone);
    }
    return -EPROTO;
}

/* A worker that is ready; else why there is none. */
static int try_ready(struct message *message, struct sl_diag *reterr)
{
    int r = tried.is_open ? 0 : try_open(reterr);
    if (r < 0 || tried.is_ready) return r;
    r = try_hear(message, SL_WORKER_TRY_START_MS * SL_NS_PER_MS);
    if (r == 0 && message->kind != WIRE_READY) r = -EPROTO;
    tried.is_ready = r == 0;
    if (r == 0) return 0;
    sl_worker_try_fini();
    (void)sl_diag_set(reterr, "no_worker", (struct sl_pos){0, 0},
                      "a worker process did not become ready");
    return r;
}

static int try_load(const struct sl_worker_load *load)
{
    struct wire_load head = {.script = ++tried.script_id};
    size_t size = sizeof(head) + load->size;
    uint8_t *data = malloc(size);
    if (data == NULL) return -ENOMEM;
    memcpy(data, &head, sizeof(head));
    memcpy(data + sizeof(head), load->data, load->size);
    int r = sl_ring_push(&tried.shm.producer, WIRE_LOAD, data, size);
    free(data);
    if (r == 0) sl_shm_publish(&tried.shm);
    return r;
}

static void try_unload(void)
{
    struct wire_load head = {.script = tried.script_id};
    if (sl_ring_push(&tried.shm.producer, WIRE_UNLOAD, &head, sizeof(head)) < 0) {
        sl_worker_try_fini();
        return;
    }
    sl_shm_publish(&tried.shm);
}

/* Text from the worker, cut and cleaned, into a field of `size` bytes. */
static void text_take(char *field, size_t size, const void *text, size_t text_size)
{
    size_t cut = text_size < size - 1 ? text_size : size - 1;
    memcpy(field, text, cut);
    worker_text_clean(field, cut);
    field[cut] = '\0';
}

/* It could not be made: the worker says why. -EPROTO: not in words that we understand. */
static int fault_read(const struct message *message, struct wire_loaded *loaded,
                      struct sl_diag *reterr)
{
    const uint8_t *packet = message->data + sizeof(*loaded);
    size_t size = message->size - sizeof(*loaded);
    struct sl_flat_envelope envelope;
    struct sl_value error = sl_value_none();
    int r = sl_flat_verify(packet, size, NULL);
    if (r == 0) r = sl_flat_open(packet, size, NULL, &envelope, &error);
    if (r == -ENOMEM) return r;
    if (r < 0 || !sl_value_is(error, SL_VALUE_ERROR)) {
        sl_value_unref(error);
        return -EPROTO;
    }
    struct sl_slice text = sl_value_slice(sl_error_part(error, SL_ERROR_MESSAGE));
    size_t place = loaded->place_size < text.size ? loaded->place_size : 0;
    loaded->code[sizeof(loaded->code) - 1] = '\0';
    loaded->hint[sizeof(loaded->hint) - 1] = '\0';
    (void)sl_diag_set(reterr, "", (struct sl_pos){loaded->line, loaded->column}, "%s", "");
    text_take(reterr->code, sizeof(reterr->code), loaded->code, strlen(loaded->code));
    text_take(reterr->text, sizeof(reterr->text), text.data + place, text.size - place);
    text_take(reterr->hint, sizeof(reterr->hint), loaded->hint, strlen(loaded->hint));
    sl_value_unref(error);
    return 0;
}

/* What became of the load: 0, or -EINVAL with reterr. */
static int verdict_read(int heard, const struct message *message, struct sl_diag *reterr)
{
    struct wire_loaded loaded;
    struct sl_pos none = {0, 0};
    if (heard == -ETIMEDOUT) {
        return sl_diag_set(reterr, "script_deadline", none,
                           "the script was not ready in its worker process after %d ms",
                           SL_WORKER_TRY_MS);
    }
    if (heard == -EPIPE) {
        return sl_diag_set(reterr, "script_killed", none,
                           "the worker process of the script ended while it was loaded");
    }
    bool valid = heard == 0 && message->kind == WIRE_LOADED && message->size >= sizeof(loaded);
    if (valid) memcpy(&loaded, message->data, sizeof(loaded));
    if (valid && loaded.script == tried.script_id) {
        if (loaded.is_ok) return 0;
        int r = fault_read(message, &loaded, reterr);
        if (r != -EPROTO) return r < 0 ? r : -EINVAL;
    }
    return sl_diag_set(reterr, "script_killed", none,
                       "the worker process of the script said what cannot be");
}

int sl_worker_try(const struct sl_worker_load *load, struct sl_diag *reterr)
{
    sl_assert(load != NULL);
    sl_assert(load->data != NULL);
    sl_assert(reterr != NULL);
    struct message *message = malloc(sizeof(*message));
    if (message == NULL) return -ENOMEM;
    int r = try_ready(message, reterr);
    if (r == 0) r = try_load(load);
    if (r < 0) {
        free(message);
        return r == -ENOMEM ? r : -EAGAIN;
    }
    int heard = try_hear(message, SL_WORKER_TRY_MS * SL_NS_PER_MS);
    r = verdict_read(heard, message, reterr);
    free(message);
    if (r == 0) try_unload();
    /* Who failed may have left anything behind. */
    if (r < 0) sl_worker_try_fini();
    return r;
}
