/* SPDX-License-Identifier: MIT */
/*
 * The pool of workers with workers of every kind: real ones behind their fence, and ones that do
 * what a script might make of them. The program is its own worker: see main.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/clock.h"
#include "core/graph/process.h"
#include "core/graph/program.h"
#include "core/shard/shard.h"
#include "io/epoll/epoll.h"
#include "nodes/script/worker/starter.h"
#include "nodes/script/worker/worker.h"
#include "tests/core/graph/ask.h"
#include "tests/nodes/worker/animal.h"

enum {
    CALL_TIMEOUT_MS = 300,
    PATIENCE_MS = 20000, /* how long anything may take on a busy machine */
    CALLS_MAX = SL_WORKER_NODE_QUEUE_MAX + SL_WORKER_NODE_MAX + 8,
};

/* A sanitizer's own handlers turn a death by signal into an exit code. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = true };
#else
enum { SANITIZED = false };
#endif

/* ---- who waits for processes: this takes the place of libc's ------------------------------------ */

static pthread_t shard_thread;
static atomic_uint waits_on_shard;
static atomic_uint waits_elsewhere;

int waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
    bool here = pthread_equal(pthread_self(), shard_thread) != 0;
    (void)atomic_fetch_add(here ? &waits_on_shard : &waits_elsewhere, 1);
    return (int)syscall(SYS_waitid, type, id, info, options, NULL);
}

/* ---- a language: the text says what happens ---------------------------------------------------- */

struct toy {
    struct sl_script base;
    char text[32];
};

static const struct sl_engine toy_engine;

static char large[1 << 20]; /* a result that is taken at a pace */

static int toy_compile(const struct sl_script_source *source, struct sl_script **ret_script,
                       struct sl_diag *reterr)
{
    /* Only in a worker is it compiled: these are what a top level may do. */
    while (sl_slice_eq_str(source->code, "wedge")) {}
    if (sl_slice_eq_str(source->code, "die")) abort();
    if (sl_slice_eq_str(source->code, "broken")) {
        return sl_diag_set(reterr, "script_error", (struct sl_pos){3, 4}, "it is broken");
    }
    struct toy *toy = calloc(1, sizeof(*toy));
    if (toy == NULL) return -ENOMEM;
    toy->base.engine = &toy_engine;
    memcpy(toy->text, source->code.data, source->code.size);
    *ret_script = &toy->base;
    return 0;
}

static void toy_free(struct sl_script *script)
{
    free(script);
}

static struct sl_value toy_run(struct sl_script *script, void *instance,
                               struct sl_script_call *call)
{
    const char *text = ((struct toy *)script)->text;
    (void)instance;
    while (strcmp(text, "loop") == 0) {}
    if (strcmp(text, "nap") == 0) (void)usleep(50000);
    if (strcmp(text, "log") == 0) sl_script_log(SL_LOG_INFO, "toy", "a line", 6);
    if (strcmp(text, "abort") == 0) abort();
    if (strcmp(text, "memory") == 0) {
        for (;;) memset(malloc(1 << 20), 1, 1 << 20); /* a NULL is a fault: no memory */
    }
    if (strcmp(text, "large") == 0) return sl_value_new_string(call->mem, large, sizeof(large));
    return sl_value_ref(call->input);
}

static const struct sl_engine toy_engine = {
    .name = "toy", .compile = toy_compile, .script_free = toy_free, .run = toy_run};

/* ---- a node that calls a worker --------------------------------------------------------------- */

struct node_config {
    struct sl_worker_load load;
};

struct node_state {
    struct sl_worker_script *script;
};

static int node_state_init(void *state, const void *config, struct sl_shard *shard,
                           struct sl_diag *reterr)
{
    const struct node_config *own = config;
    return sl_worker_attach(shard, &own->load, &((struct node_state *)state)->script, reterr);
}

static void node_state_fini(void *state, const void *config, struct sl_shard *shard)
{
    (void)config;
    (void)shard;
    sl_worker_detach(((struct node_state *)state)->script);
}

static bool asks_tests;

static enum sl_step node_run(struct sl_call *call)
{
    struct node_state *state = call->state;
    struct sl_value error;
    int r = sl_worker_call(state->script, call, call->value, asks_tests, sl_frame_data(call->frame),
                           &error);
    call->value = r < 0 ? error : sl_value_none();
    return r < 0 ? SL_STEP_FAIL : SL_STEP_PARK;
}

static enum sl_step node_resume(struct sl_call *call)
{
    return sl_value_is(call->value, SL_VALUE_ERROR) ? SL_STEP_FAIL : SL_STEP_ANSWER;
}

static void node_cancel(struct sl_frame *frame, struct sl_shard *shard)
{
    (void)shard;
    sl_worker_cancel(sl_frame_data(frame));
}

static void node_fini(void *config)
{
    sl_worker_load_fini(&((struct node_config *)config)->load);
}

static const struct sl_kind node_kind = {
    .name = "caller",
    .config_size = sizeof(struct node_config),
    .state_size = sizeof(struct node_state),
    .frame_size = sizeof(struct sl_worker_wait),
    .flags = SL_KIND_TRANSFORMS | SL_KIND_PARKS,
    .outs_max = 1,
    .ins_max = 1,
    .config_fini = node_fini,
    .state_init = node_state_init,
    .state_fini = node_state_fini,
    .run = node_run,
    .resume = node_resume,
    .cancel = node_cancel,
};

/* ---- fixture ----------------------------------------------------------------------------------- */

static struct sl_shard *shard;
static struct sl_program *program;

static struct sl_node *node_make(const char *text, uint32_t timeout_ms)
{
    struct sl_script script = {.engine = &toy_engine};
    struct sl_script_source source = {
        .code = sl_slice_from_str(text), .file = "f", .name = "n", .timeout_ms = timeout_ms};
    struct node_config *config = calloc(1, sizeof(*config));
    assert_non_null(config);
    assert_int_equal(sl_worker_load_init(&config->load, &source, &script, NULL), 0);
    struct sl_node *node =
        sl_node_new(&node_kind, config, text, "", "", (struct sl_pos){0, 0}, sl_value_none(), 1);
    assert_non_null(node);
    return node;
}

static void program_open(const char *text, uint32_t timeout_ms)
{
    struct sl_node *node = node_make(text, timeout_ms);
    program = sl_program_new("test", 1, &node, 1, NULL, 0, 1);
    assert_non_null(program);
    sl_node_unref(node);
    assert_int_equal(sl_instance_open(program, shard, UINT64_MAX / 2, NULL), 0);
}

static void turn(void)
{
    sl_loop_turn(&shard->loop, shard->loop.now_ns + SL_NS_PER_MS);
}

static struct sl_worker_stats stats(void)
{
    struct sl_worker_stats now;
    sl_worker_stats_get(shard, &now);
    return now;
}

static void program_close(void)
{
    assert_int_equal(sl_instance_close(program, shard, UINT64_MAX / 2), 0);
    program = sl_program_free(program);
    for (int i = 0; i < 200 && stats().alive > 0; i++) turn();
    assert_int_equal(stats().alive, 0);
}

/* What the next pool starts; the one before has ended, its helper thread too. */
static void command_set(const char *const *extra)
{
    sl_worker_shard_fini(shard);
    sl_worker_command_set(NULL, extra);
}

static struct sl_process *ask_begin(struct ask *ask, uint64_t deadline_ms)
{
    *ask = (struct ask){.reply = {.fn = asked}};
    uint64_t deadline_ns = shard->loop.now_ns + deadline_ms * SL_NS_PER_MS;
    struct sl_process *process = sl_process_new(shard, program->instances[0], NULL, deadline_ns);
    assert_non_null(process);
    struct sl_value value = sl_value_new_int(shard->loop.mem, 42);
    sl_process_call(process, &program->symbols[0], 0, value, &ask->reply);
    sl_process_finish(process);
    return process;
}

/* Until so many calls more are with workers. */
static void calls_wait(uint64_t from, uint64_t count)
{
    uint64_t end_ns = sl_clock_now_ns(sl_clock_system()) + PATIENCE_MS * SL_NS_PER_MS;
    while (stats().calls < from + count && sl_clock_now_ns(sl_clock_system()) < end_ns) turn();
    assert_int_equal(stats().calls, from + count);
}

static void ask_wait(struct ask *ask)
{
    uint64_t end_ns = sl_clock_now_ns(sl_clock_system()) + PATIENCE_MS * SL_NS_PER_MS;
    while (ask->answers == 0 && sl_clock_now_ns(sl_clock_system()) < end_ns) turn();
    assert_int_equal(ask->answers, 1);
}

/* Call once: the code of the error, or "" for the value that was sent, "true", "false". */
static const char *ask_once(void)
{
    static char text[64];
    struct ask ask;
    (void)ask_begin(&ask, PATIENCE_MS);
    ask_wait(&ask);
    text[0] = '\0';
    if (sl_value_is(ask.answer, SL_VALUE_ERROR)) {
        struct sl_slice code = sl_value_slice(sl_error_part(ask.answer, SL_ERROR_CODE));
        (void)snprintf(text, sizeof(text), "%.*s", SL_SLICE_FMT(code));
    } else if (sl_value_is(ask.answer, SL_VALUE_BOOL)) {
        (void)snprintf(text, sizeof(text), "%s", ask.answer.cell->word ? "true" : "false");
    } else if (sl_value_is(ask.answer, SL_VALUE_STRING)) {
        assert_int_equal(sl_value_slice(ask.answer).size, sizeof(large));
    } else {
        assert_true(sl_value_is(ask.answer, SL_VALUE_INT));
        assert_int_equal(ask.answer.cell->i64, 42);
    }
    sl_value_unref(ask.answer);
    return text;
}

static int fds_count(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir) != NULL) count++;
    (void)closedir(dir);
    return count;
}

/* ---- tests ------------------------------------------------------------------------------------- */

static char log_text[64];

static void log_keep(void *ctx, enum sl_log_level level, const char *node, const char *text,
                     size_t text_size)
{
    (void)ctx;
    (void)snprintf(log_text, sizeof(log_text), "%d %s %.*s", (int)level, node, (int)text_size,
                   text);
}

static void worker_answers(void **state)
{
    (void)state;
    program_open("echo", CALL_TIMEOUT_MS * 10);
    for (int i = 0; i < 100; i++) assert_string_equal(ask_once(), "");
    assert_int_equal(stats().calls, 100);
    assert_int_equal(stats().killed + stats().crashed, 0);
    program_close();
}

static void script_logs_through_the_shard(void **state)
{
    (void)state;
    char expected[64];
    (void)snprintf(expected, sizeof(expected), "%d n a line", (int)SL_LOG_INFO);
    program_open("log", CALL_TIMEOUT_MS * 10);
    assert_string_equal(ask_once(), "");
    assert_string_equal(log_text, expected);
    program_close();
}

static void condition_answers_with_its_truth(void **state)
{
    (void)state;
    asks_tests = true;
    program_open("echo", CALL_TIMEOUT_MS * 10);
    assert_string_equal(ask_once(), "true");
    program_close();
    asks_tests = false;
}

static void script_that_does_not_compile_says_where(void **state)
{
    (void)state;
    program_open("broken", CALL_TIMEOUT_MS);
    assert_string_equal(ask_once(), "script_error");
    assert_string_equal(ask_once(), "script_error");
    program_close();
}

/* ---- the worker of the control thread ---------------------------------------------------------- */

/* Try the text; what is wrong as "code line:column text", or "". */
static const char *try_once(const char *text, int expected)
{
    static char said[sizeof(struct sl_diag)];
    struct sl_script script = {.engine = &toy_engine};
    struct sl_script_source source = {
        .code = sl_slice_from_str(text), .file = "f", .name = "n", .timeout_ms = 1000};
    struct sl_worker_load load;
    struct sl_diag diag = {0};
    assert_int_equal(sl_worker_load_init(&load, &source, &script, NULL), 0);
    assert_int_equal(sl_worker_try(&load, &diag), expected);
    sl_worker_load_fini(&load);
    said[0] = '\0';
    if (expected == 0) return said;
    (void)snprintf(said, sizeof(said), "%s %u:%u %s", diag.code, diag.pos.line, diag.pos.column,
                   diag.text);
    return said;
}

static void try_says_what_a_load_says(void **state)
{
    (void)state;
    assert_string_equal(try_once("echo", 0), "");
    assert_string_equal(try_once("broken", -EINVAL), "script_error 3:4 it is broken");
    for (int i = 0; i < SL_WORKER_SCRIPTS_MAX + 2; i++) (void)try_once("echo", 0);
    sl_worker_try_fini();
}

static void try_of_what_does_not_end_ends(void **state)
{
    (void)state;
    assert_non_null(strstr(try_once("wedge", -EINVAL), "script_deadline"));
    assert_non_null(strstr(try_once("die", -EINVAL), "script_killed"));
    assert_string_equal(try_once("echo", 0), "");
    sl_worker_try_fini();
}

static void try_in_a_hostile_worker_is_a_fault(void **state)
{
    (void)state;
    command_set((const char *const[]){"garbage-fault", NULL});
    for (int i = 0; i < 3; i++) {
        assert_non_null(strstr(try_once("echo", -EINVAL), "said what cannot be"));
    }
    command_set((const char *const[]){"not-ready", NULL});
    (void)try_once("echo", -EAGAIN);
    command_set(NULL);
}

static void loop_is_killed_after_deadline_and_grace(void **state)
{
    (void)state;
    program_open("loop", CALL_TIMEOUT_MS);
    uint64_t begin_ns = sl_clock_now_ns(sl_clock_system());
    uint64_t killed = stats().killed;
    assert_string_equal(ask_once(), "script_killed");
    uint64_t took_ns = sl_clock_now_ns(sl_clock_system()) - begin_ns;
    assert_true(took_ns >= (CALL_TIMEOUT_MS + SL_WORKER_GRACE_MS) * SL_NS_PER_MS);
    assert_int_equal(stats().killed, killed + 1);
    assert_string_equal(ask_once(), "script_killed"); /* by a spare */
    program_close();
}

static void assert_died(const char *code)
{
    if (SANITIZED && strcmp(code, "script_killed") == 0) return;
    assert_string_equal(code, "script_memory");
}

static void death_by_itself_is_script_memory(void **state)
{
    (void)state;
    program_open("abort", CALL_TIMEOUT_MS * 10);
    assert_died(ask_once());
    program_close();
    program_open("memory", CALL_TIMEOUT_MS * 10);
    assert_died(ask_once());
    program_close();
}

/*
 * waitid takes the dead out of /proc, and the kernel may spin there for long: the other requests of
 * the shard stood still for half a second.
 */
static void dead_worker_is_reaped_off_the_shard(void **state)
{
    (void)state;
    shard_thread = pthread_self();
    atomic_store(&waits_on_shard, 0);
    atomic_store(&waits_elsewhere, 0);
    program_open("loop", CALL_TIMEOUT_MS);
    assert_string_equal(ask_once(), "script_killed"); /* by us */
    program_close();
    program_open("abort", CALL_TIMEOUT_MS * 10);
    assert_died(ask_once()); /* by itself */
    program_close();
    assert_int_equal(atomic_load(&waits_on_shard), 0);
    assert_true(atomic_load(&waits_elsewhere) >= 1);
}

static void calls_beyond_the_queue_are_refused(void **state)
{
    (void)state;
    static struct ask asks[CALLS_MAX];
    struct sl_process *processes[CALLS_MAX];
    program_open("loop", PATIENCE_MS);
    uint64_t overload = stats().overload;
    for (int i = 0; i < CALLS_MAX; i++) {
        processes[i] = ask_begin(&asks[i], PATIENCE_MS);
        /* Until the first ones are with their workers: the queue holds the rest. */
        while (i < SL_WORKER_NODE_MAX && stats().busy < (uint32_t)i + 1) turn();
    }
    assert_int_equal(stats().busy, SL_WORKER_NODE_MAX);
    assert_int_equal(stats().queued, SL_WORKER_NODE_QUEUE_MAX);
    assert_int_equal(stats().overload,
                     overload + CALLS_MAX - SL_WORKER_NODE_MAX - SL_WORKER_NODE_QUEUE_MAX);
    for (int i = 0; i < CALLS_MAX; i++) {
        if (asks[i].answers > 0) continue;
        sl_process_cancel(processes[i], sl_value_new_error(shard->loop.mem, "cancelled", 499, "x"));
    }
    for (int i = 0; i < CALLS_MAX; i++) {
        ask_wait(&asks[i]);
        sl_value_unref(asks[i].answer);
    }
    assert_int_equal(stats().queued, 0);
    program_close();
}

static void cancelled_call_leaves_at_once_and_its_worker_is_killed(void **state)
{
    (void)state;
    struct ask ask;
    program_open("loop", PATIENCE_MS);
    uint64_t calls = stats().calls;
    struct sl_process *process = ask_begin(&ask, PATIENCE_MS);
    calls_wait(calls, 1);
    uint64_t killed = stats().killed;
    sl_process_cancel(process, sl_value_new_error(shard->loop.mem, "cancelled", 499, "x"));
    ask_wait(&ask);
    sl_value_unref(ask.answer);
    for (int i = 0; i < PATIENCE_MS && stats().killed == killed; i++) turn();
    assert_int_equal(stats().killed, killed + 1);
    assert_int_equal(stats().busy, 0);
    program_close();
}

/* The program goes while a cancelled call still runs in a worker. */
static void program_may_go_while_a_worker_runs_its_script(void **state)
{
    (void)state;
    struct ask ask;
    program_open("loop", PATIENCE_MS);
    struct sl_program *first = program;
    uint64_t calls = stats().calls;
    struct sl_process *process = ask_begin(&ask, PATIENCE_MS);
    calls_wait(calls, 1);
    program_open("echo", CALL_TIMEOUT_MS * 10);
    sl_process_cancel(process, sl_value_new_error(shard->loop.mem, "cancelled", 499, "x"));
    ask_wait(&ask);
    sl_value_unref(ask.answer);
    assert_int_equal(sl_instance_close(first, shard, UINT64_MAX / 2), 0);
    (void)sl_program_free(first);
    for (int i = 0; i < 50; i++) assert_string_equal(ask_once(), "");
    program_close();
}

/* The pool ends with calls in it that were cancelled, and starts again. */
static void last_detach_ends_all_workers(void **state)
{
    (void)state;
    for (int round = 0; round < 3; round++) {
        program_open("echo", CALL_TIMEOUT_MS * 10);
        assert_string_equal(ask_once(), "");
        assert_true(stats().alive > 0);
        program_close();
    }
}

static void workers_that_do_not_start_are_given_up(void **state)
{
    (void)state;
    static const char *const extra[] = {"not-ready", NULL};
    command_set(extra);
    program_open("echo", CALL_TIMEOUT_MS);
    assert_string_equal(ask_once(), "script_overload");
    assert_true(stats().failures >= 3);
    program_close();
    command_set(NULL);
}

static void children_check_class(const char *task)
{
    char path[300];
    int pid;
    (void)snprintf(path, sizeof(path), "/proc/self/task/%s/children", task);
    FILE *file = fopen(path, "re");
    if (file == NULL) return;
    while (fscanf(file, "%d", &pid) == 1) assert_int_equal(sched_getscheduler(pid), SCHED_OTHER);
    (void)fclose(file);
}

/* A real-time loop on the shard's core would be the end of the shard. */
static void workers_of_a_real_time_shard_are_ordinary(void **state)
{
    (void)state;
    struct sched_param param = {.sched_priority = 1};
    struct sched_param ordinary = {0};
    if (sched_setscheduler(0, SCHED_FIFO, &param) < 0) skip();
    command_set(NULL);
    program_open("echo", CALL_TIMEOUT_MS * 10);
    const char *got = ask_once();
    (void)sched_setscheduler(0, SCHED_OTHER, &ordinary);
    assert_string_equal(got, "");
    DIR *dir = opendir("/proc/self/task");
    assert_non_null(dir);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (entry->d_name[0] != '.') children_check_class(entry->d_name);
    }
    (void)closedir(dir);
    program_close();
}

/* The shard takes a few at once, then only as many as leave it free for others; none is lost. */
static void large_results_are_taken_at_a_pace(void **state)
{
    (void)state;
    uint64_t killed = stats().killed;
    uint64_t paced = stats().paced;
    program_open("large", CALL_TIMEOUT_MS * 10);
    for (int i = 0; i < 2000 && stats().paced < paced + 3; i++) assert_string_equal(ask_once(), "");
    assert_true(stats().paced >= paced + 3);
    assert_int_equal(stats().killed, killed);
    program_close();
}

static void hostile(const char *what, const char *code)
{
    const char *const extra[] = {what, NULL};
    command_set(extra);
    program_open("echo", CALL_TIMEOUT_MS);
    for (int i = 0; i < 3; i++) {
        const char *got = ask_once();
        if (SANITIZED && strcmp(got, "script_killed") == 0) continue;
        if (strcmp(got, code) != 0) fail_msg("%s: \"%s\", expected \"%s\"", what, got, code);
    }
    program_close();
    command_set(NULL);
    program_open("echo", CALL_TIMEOUT_MS * 10);
    assert_string_equal(ask_once(), "");
    program_close();
}

static void hostile_worker_is_killed_and_the_shard_serves_on(void **state)
{
    (void)state;
    static const char *const killed[] = {
        "garbage-packet", "garbage-memory", "wild-tail", "odd-tail",    "back-tail", "wild-answers",
        "wild-kind",      "short-answer",   "flood",     "ready-again", "silence",   "bells"};
    for (size_t i = 0; i < sizeof(killed) / sizeof(killed[0]); i++) {
        hostile(killed[i], "script_killed");
    }
    hostile("exit", "script_killed");
    hostile("abort", "script_memory");
    hostile("fault", "script_memory");
    hostile("illegal", "script_memory");
}

static void fence_check(const char *what, const char *expected)
{
    const char *const extra[] = {what, NULL};
    asks_tests = true;
    command_set(extra);
    program_open("echo", PATIENCE_MS / 2);
    assert_string_equal(ask_once(), expected);
    program_close();
    command_set(NULL);
    asks_tests = false;
}

static void fence_refuses_what_is_not_listed(void **state)
{
    (void)state;
    fence_check("fenced", "true");
}

/* The proof that the test above can fail. */
static void fence_without_seccomp_lets_through(void **state)
{
    (void)state;
    fence_check("no-seccomp", "false");
}

static int group_setup(void **state)
{
    (void)state;
    struct sl_clock *clock = sl_clock_system();
    struct sl_poller *poller = sl_poller_epoll_new(NULL, clock, NULL);
    shard = aligned_alloc(128, sizeof(*shard));
    if (poller == NULL || shard == NULL) return -1;
    memset(shard, 0, sizeof(*shard));
    struct sl_shard_config cfg = {.cpu = -1, .clock = clock, .memory_max = (size_t)256 << 20};
    sl_worker_idle_set(false);
    return sl_shard_init(shard, &cfg, poller);
}

static int group_teardown(void **state)
{
    (void)state;
    sl_shard_fini(shard);
    free(shard);
    return 0;
}

/* After everything: nothing is left of any of them. */
static void nothing_is_left_behind(void **state)
{
    int *fds = *state;
    program_open("echo", CALL_TIMEOUT_MS * 10);
    assert_string_equal(ask_once(), "");
    program_close();
    sl_worker_shard_fini(shard);
    assert_int_equal(fds_count(), *fds);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

struct policy_mail {
    struct sl_mail mail;
    atomic_int policy; /* of the thread that ran it; -1: nobody yet */
};

static void policy_note(struct sl_mail *mail)
{
    struct policy_mail *own = sl_container_of(mail, struct policy_mail, mail);
    atomic_store(&own->policy, sched_getscheduler(0));
}

/* An ordinary thread that spins in waitid would keep idle workers, and a shard, from the core. */
static void idle_workers_are_reaped_by_an_idle_thread(void **state)
{
    (void)state;
    struct policy_mail mails[SL_STARTERS];
    assert_int_equal(sl_starter_open(true, NULL), 0);
    for (int i = 0; i < SL_STARTERS; i++) {
        mails[i] = (struct policy_mail){.mail.fn = policy_note, .policy = -1};
        sl_starter_post((enum sl_starter)i, &mails[i].mail);
    }
    sl_starter_close(); /* which waits for them */
    assert_int_equal(atomic_load(&mails[SL_STARTER_START].policy), SCHED_OTHER);
    assert_int_equal(atomic_load(&mails[SL_STARTER_REAP].policy), SCHED_IDLE);
    assert_int_equal(atomic_load(&mails[SL_STARTER_BURY].policy), SCHED_OTHER);
}

int main(int argc, char **argv)
{
    int code = animal_main(argc, argv);
    sl_engine_register(&toy_engine);
    if (code < 0) code = sl_worker_main(argc, argv);
    if (code >= 0) return code;
    if (sl_worker_missing() != NULL) return 77;
    sl_script_log_set(log_keep, NULL);
    if (group_setup(NULL) < 0) return 1;
    int fds = fds_count();
    void *left = &fds;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worker_answers),
        cmocka_unit_test(script_logs_through_the_shard),
        cmocka_unit_test(condition_answers_with_its_truth),
        cmocka_unit_test(script_that_does_not_compile_says_where),
        cmocka_unit_test(loop_is_killed_after_deadline_and_grace),
        cmocka_unit_test(death_by_itself_is_script_memory),
        cmocka_unit_test(dead_worker_is_reaped_off_the_shard),
        cmocka_unit_test(calls_beyond_the_queue_are_refused),
        cmocka_unit_test(cancelled_call_leaves_at_once_and_its_worker_is_killed),
        cmocka_unit_test(program_may_go_while_a_worker_runs_its_script),
        cmocka_unit_test(last_detach_ends_all_workers),
        cmocka_unit_test(workers_that_do_not_start_are_given_up),
        cmocka_unit_test(workers_of_a_real_time_shard_are_ordinary),
        cmocka_unit_test(large_results_are_taken_at_a_pace),
        cmocka_unit_test(hostile_worker_is_killed_and_the_shard_serves_on),
        cmocka_unit_test(fence_refuses_what_is_not_listed),
        cmocka_unit_test(fence_without_seccomp_lets_through),
        cmocka_unit_test(try_says_what_a_load_says),
        cmocka_unit_test(try_of_what_does_not_end_ends),
        cmocka_unit_test(try_in_a_hostile_worker_is_a_fault),
        cmocka_unit_test_prestate(nothing_is_left_behind, left),
        cmocka_unit_test(idle_workers_are_reaped_by_an_idle_thread),
    };
    code = cmocka_run_group_tests_name("worker", tests, NULL, NULL);
    (void)group_teardown(NULL);
    return code;
}
