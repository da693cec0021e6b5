/* SPDX-License-Identifier: MIT */
/*
 * A record to another OS process and one back, through io/shm: rings in shared memory, as script
 * workers use them. The other side is a forked child on the second core.
 *
 *     spin     both sides look again and again: the memory's own speed
 *     futex    the child sleeps on the futex of its bell, as a worker does; we look
 *     payload  spin, with a request's payload: sealed here, copied, verified and opened there
 *
 * Figures are of the round trip.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/micro/micro.h"
#include "bench/micro/sample.h"
#include "bench/run.h"
#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"
#include "core/mem/mem.h"
#include "io/shm/shm.h"

enum {
    KIND_ECHO = 1,
    KIND_END = 2,
    RECORD_SIZE = 64,
    BUF_SIZE = 64 * 1024,
    MEMORY_MAX = 64 << 20,
    PAUSE_NS = 100 * 1000
};

enum way { WAY_SPIN, WAY_FUTEX, WAY_PAYLOAD };

struct channel {
    struct sl_shm shm;
    struct sl_mem *mem;
    struct sl_value value;
    enum way way;
    pid_t pid;
    uint64_t buf[BUF_SIZE / 8]; /* aligned for sealed bytes */
};

/* Read one record, copied out; the other side may be anybody. */
static uint32_t record_read(struct channel *channel, size_t *ret_size, bool sleeps)
{
    uint32_t kind;
    for (;;) {
        int result = sl_ring_copy(&channel->shm.consumer, channel->buf, sizeof(channel->buf),
                                  ret_size, &kind);
        sl_assert(result >= 0);
        if (result == 1) break;
        if (sleeps) (void)sl_shm_wait(&channel->shm, false, SL_NS_PER_SEC);
    }
    sl_shm_release(&channel->shm);
    return kind;
}

static void record_write(struct channel *channel, uint32_t kind, size_t size)
{
    int result = sl_ring_push(&channel->shm.producer, kind, channel->buf, size);
    sl_assert(result == 0);
    sl_shm_publish(&channel->shm);
}

static size_t value_seal(struct channel *channel, struct sl_value value)
{
    struct sl_flat_envelope envelope = {.process = 1};
    size_t size;
    int result = sl_flat_seal(value, &envelope, channel->buf, sizeof(channel->buf), &size);
    sl_assert(result == 0);
    return size;
}

/* What came: verified, opened; one count for the caller. */
static struct sl_value value_open(struct channel *channel, size_t size)
{
    struct sl_flat_envelope envelope;
    struct sl_value value;
    int result = sl_flat_verify(channel->buf, size, NULL);
    sl_assert(result == 0);
    result = sl_flat_open_borrow(channel->buf, size, channel->mem, &envelope, &value);
    sl_assert(result == 0);
    return value;
}

static _Noreturn void child_main(struct channel *channel, int core)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (core >= 0) (void)sl_run_pin(core);
    struct channel *own = calloc(1, sizeof(*own));
    sl_assert(own != NULL);
    own->mem = sl_mem_new(MEMORY_MAX);
    if (sl_shm_attach(&own->shm, channel->shm.fds, false, NULL) != 0) _exit(1);
    for (;;) {
        size_t size;
        uint32_t kind = record_read(own, &size, channel->way == WAY_FUTEX);
        if (kind == KIND_END) break;
        if (channel->way == WAY_PAYLOAD) {
            struct sl_value value = value_open(own, size);
            struct sl_value part = sl_value_get_str(value, "method");
            sl_micro_keep(part.cell);
            sl_value_unref(value);
        }
        record_write(own, kind, size);
    }
    _exit(0);
}

static int channel_setup(struct sl_micro_run *run)
{
    enum way way = *(const enum way *)run->arg;
    if (run->cores_count < 2) {
        run->why = "needs two cores (--cores)";
        return SL_MICRO_SKIPPED;
    }
    struct channel *channel = calloc(1, sizeof(*channel));
    sl_assert(channel != NULL);
    struct sl_shm_config config = {.creator_wake = SL_SHM_EVENTFD, .peer_wake = SL_SHM_FUTEX};
    int result = sl_shm_init(&channel->shm, &config, &run->diag);
    if (result != 0) {
        free(channel);
        return result;
    }
    channel->way = way;
    channel->mem = sl_mem_new(MEMORY_MAX);
    sl_assert(channel->mem != NULL);
    channel->value = sl_sample_value(SL_SAMPLE_REQUEST, channel->mem);
    run->bytes = way == WAY_PAYLOAD ? value_seal(channel, channel->value) : RECORD_SIZE;
    channel->pid = fork();
    if (channel->pid == 0) child_main(channel, run->cores[1]);
    sl_assert(channel->pid > 0);
    run->state = channel;
    return 0;
}

static void channel_teardown(struct sl_micro_run *run)
{
    struct channel *channel = run->state;
    record_write(channel, KIND_END, 8);
    (void)waitpid(channel->pid, NULL, 0);
    sl_shm_fini(&channel->shm);
    sl_value_unref(channel->value);
    (void)sl_mem_free(channel->mem);
    free(channel);
}

static void trip_run(struct sl_micro_run *run, uint64_t count)
{
    struct channel *channel = run->state;
    bool has_payload = channel->way == WAY_PAYLOAD;
    for (uint64_t i = 0; i < count; i++) {
        size_t size = RECORD_SIZE;
        if (has_payload) size = value_seal(channel, channel->value);
        record_write(channel, KIND_ECHO, size);
        (void)record_read(channel, &size, false);
        if (has_payload) sl_value_unref(value_open(channel, size));
    }
}

/* One trip at a time, each after a pause in which the child falls asleep. */
static int trip_sample(struct sl_micro_run *run, uint64_t count, uint64_t *ret_ns)
{
    struct sl_clock *clock = sl_clock_system();
    for (uint64_t i = 0; i < count; i++) {
        sl_micro_pause(PAUSE_NS);
        uint64_t begin_ns = sl_clock_now_ns(clock);
        trip_run(run, 1);
        ret_ns[i] = sl_clock_now_ns(clock) - begin_ns;
    }
    return 0;
}

static const enum way SPIN = WAY_SPIN;
static const enum way FUTEX = WAY_FUTEX;
static const enum way PAYLOAD = WAY_PAYLOAD;

#define CASE(case_name, text, which)                                                               \
    {                                                                                              \
        .name = (case_name), .about = (text), .setup = channel_setup, .run = trip_run,             \
        .teardown = channel_teardown, .arg = &(which)                                              \
    }

static const struct sl_micro_case CASES[] = {
    CASE("channel/spin", "64 bytes to another process and back, both awake", SPIN),
    {.name = "channel/futex",
     .about = "the same, the other process sleeps and is woken",
     .setup = channel_setup,
     .sample = trip_sample,
     .teardown = channel_teardown,
     .arg = &FUTEX},
    CASE("channel/payload", "a request's payload, sealed, verified, opened; both ways", PAYLOAD),
};

const struct sl_micro_group sl_micro_channel = SL_MICRO_GROUP("channel", CASES);
