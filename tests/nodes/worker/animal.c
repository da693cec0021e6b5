/* SPDX-License-Identifier: MIT */
/*
 * What a worker would do whose script has taken it over: a program of its own that attaches to the
 * channel and misbehaves. Started by the pool in place of the worker (sl_worker_command_set), with
 * the name of what to do behind the command.
 */
#include "tests/nodes/worker/animal.h"

#include <errno.h>
#include <pthread.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "io/proc/fence.h"
#include "io/shm/shm.h"
#include "nodes/script/worker/wire.h"

static struct sl_shm shm;
static uint64_t data_used = 1 << 20;

static void send_bytes(uint32_t kind, const void *data, size_t size)
{
    while (sl_ring_push(&shm.producer, kind, data, size) == -EAGAIN) {
        sl_shm_publish(&shm);
        (void)sl_shm_wait(&shm, true, SL_NS_PER_MS);
    }
    sl_shm_publish(&shm);
}

static void send_ready(void)
{
    struct wire_ready ready = {.data_used = data_used};
    send_bytes(WIRE_READY, &ready, sizeof(ready));
}

/* Answers LOAD well; returns at the first CALL, with its head. */
static struct wire_call call_take(void)
{
    for (;;) {
        struct sl_ring_view view;
        if (sl_ring_peek(&shm.consumer, &view) == 0) {
            (void)sl_shm_wait(&shm, false, UINT64_MAX);
            continue;
        }
        struct wire_loaded loaded = {.is_ok = 1};
        struct wire_call call = {0};
        memcpy(&loaded.script, view.data, sizeof(loaded.script));
        if (view.kind == WIRE_CALL) memcpy(&call, view.data, sizeof(call));
        uint32_t kind = view.kind;
        sl_ring_consume(&shm.consumer);
        if (view.is_slab) sl_shm_slab_return(&shm, view.data);
        sl_shm_release(&shm);
        if (kind == WIRE_CALL) return call;
        if (kind == WIRE_LOAD) send_bytes(WIRE_LOADED, &loaded, sizeof(loaded));
    }
}

/* Its answer to LOAD: it failed, with texts without end and a packet that is none. */
static void garbage_fault(void)
{
    struct {
        struct wire_loaded loaded;
        uint8_t bytes[512];
    } message;
    struct sl_ring_view view;
    while (sl_ring_peek(&shm.consumer, &view) == 0) {
        (void)sl_shm_wait(&shm, false, UINT64_MAX);
    }
    memset(&message, 0xff, sizeof(message));
    memcpy(&message.loaded.script, view.data, sizeof(message.loaded.script));
    message.loaded.is_ok = 0;
    send_bytes(WIRE_LOADED, &message, sizeof(message));
}

static uint32_t noise_state = 12345;

static uint8_t noise(void)
{
    noise_state = noise_state * 1664525 + 1013904223;
    return (uint8_t)(noise_state >> 24);
}

/* An answer whose packet is garbage of every size. */
static void garbage_packet(void)
{
    struct {
        struct wire_answer answer;
        uint8_t bytes[4096];
    } message;
    struct wire_call call = call_take();
    noise_state ^= (uint32_t)getpid();
    message.answer = (struct wire_answer){.call = call.call, .outcome = WIRE_VALUE};
    for (size_t i = 0; i < sizeof(message.bytes); i++) message.bytes[i] = noise();
    send_bytes(WIRE_ANSWER, &message, sizeof(message.answer) + noise_state % 4096);
}

/* Everything behind the head of the channel is overwritten, again and again. */
static void garbage_memory(void)
{
    (void)call_take();
    for (;;) {
        uint8_t *from = (uint8_t *)shm.head;
        for (size_t i = 0; i < 64 * 1024; i++) from[i] = noise();
        (void)syscall(SYS_write, shm.fds[1], &(uint64_t){1}, 8);
    }
}

static void wild_tail(uint64_t by)
{
    (void)call_take();
    struct sl_ring_head *head = shm.producer.map.shared;
    atomic_store(&head->tail, shm.producer.tail + by);
    (void)syscall(SYS_write, shm.fds[1], &(uint64_t){1}, 8);
    for (;;) (void)pause();
}

static void wild_answers(void)
{
    struct wire_call call = call_take();
    struct wire_answer answer = {.call = call.call + 7, .outcome = WIRE_TRUE};
    send_bytes(WIRE_ANSWER, &answer, sizeof(answer));
}

static void wild_kind(void)
{
    (void)call_take();
    send_bytes(77, "x", 1);
}

static void short_answer(void)
{
    (void)call_take();
    send_bytes(WIRE_ANSWER, "x", 1);
}

/* Log lines, and bells with nothing behind them, for ever. */
static void flood(void)
{
    struct {
        struct wire_log log;
        char text[8];
    } line = {.log = {.level = 2}, .text = "\x1b[2Jx\xff\n"};
    (void)call_take();
    for (;;) send_bytes(WIRE_LOG, &line, sizeof(line));
}

static void bells(void)
{
    (void)call_take();
    for (;;) (void)syscall(SYS_write, shm.fds[1], &(uint64_t){1}, 8);
}

static void ready_again(void)
{
    (void)call_take();
    send_ready();
}

static void silence(void)
{
    (void)call_take();
    for (;;) (void)pause();
}

static void die(int number)
{
    sigset_t none;
    (void)call_take();
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL); /* a child begins with all blocked */
    (void)raise(number);
}

/* ---- the fence: what must fail inside ---------------------------------------------------------- */

static int attempt(int number)
{
    switch (number) {
    case 0: return open("/etc/passwd", O_RDONLY);
    case 1: return open("/proc/self/maps", O_RDONLY);
    case 2: return open("/tmp/sluice-fence", O_CREAT | O_WRONLY, 0600);
    case 3: return socket(AF_INET, SOCK_STREAM, 0);
    case 4: return socket(AF_UNIX, SOCK_STREAM, 0);
    case 5: return (int)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    case 6: return (int)vfork();
    case 7: return execl("/bin/true", "true", (char *)NULL);
    case 8: return kill(getppid(), 0);
    case 9: return kill(1, SIGTERM);
    case 10: return (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    case 11: return (int)syscall(SYS_tgkill, getppid(), getppid(), SIGTERM);
    case 12: return (int)syscall(SYS_memfd_create, "x", 0);
    case 13: return (int)syscall(SYS_io_uring_setup, 8, NULL);
    case 14: return setuid(0);
    case 15: return (int)syscall(SYS_bpf, 0, NULL, 0);
    case 16: return (int)syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0);
    case 17: return (int)syscall(SYS_unshare, 0x10000000);
    case 18: return (int)syscall(SYS_mount, "none", "/", NULL, 0, NULL);
    case 19: return (int)syscall(SYS_pidfd_open, getppid(), 0);
    case 20: return unlink("/tmp/sluice-fence");
    case 21: return chdir("/");
    case 22: return (int)syscall(SYS_seccomp, 0, 0, NULL);
    case 23: return dup2(0, 9);
    default: return 0;
    }
}

static void on_signal(int number)
{
    (void)number;
}

/*
 * What a machine's collector needs to read the stack of another thread: a signal, in whose handler
 * that one sleeps until the next. A refused sleep returns at once, and a running thread's is read.
 */
static bool can_be_stopped(void)
{
    sigset_t blocked, open;
    struct sigaction action = {.sa_handler = on_signal};
    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, SIGUSR2);
    (void)sigfillset(&open);
    (void)sigdelset(&open, SIGUSR2);
    if (sigaction(SIGUSR2, &action, NULL) < 0) return false;
    if (pthread_sigmask(SIG_BLOCK, &blocked, NULL) != 0) return false;
    if (pthread_kill(pthread_self(), SIGUSR2) != 0) return false;
    return sigsuspend(&open) == -1 && errno == EINTR;
}

/*
 * Answers with true if all were refused, and what machines need was not. Ends at the first that was
 * let through: what comes later does harm where there is no fence.
 */
static void fenced(void)
{
    struct wire_call call = call_take();
    struct wire_answer answer = {.call = call.call, .outcome = WIRE_TRUE};
    if (!can_be_stopped()) answer.outcome = WIRE_FALSE;
    for (int i = 0; i < ANIMAL_ATTEMPTS; i++) {
        errno = 0;
        int r = attempt(i);
        if (r == -1 && (errno == EPERM || errno == EACCES || errno == ENOSYS)) continue;
        char text[96];
        int size =
            snprintf(text, sizeof(text), "attempt %d was not refused: %d, errno %d\n", i, r, errno);
        (void)!write(2, text, (size_t)size);
        if (r == 0 && i >= 5 && i <= 6) _exit(0); /* a child that must not be */
        answer.outcome = WIRE_FALSE;
        break;
    }
    send_bytes(WIRE_ANSWER, &answer, sizeof(answer));
    for (;;) (void)pause();
}

static void fence_close(pid_t parent, bool has_seccomp)
{
    int parts = sl_fence_open(parent);
    if (parts < 0 || sl_fence_memory(1 << 26, 1 << 27, &data_used) < 0) _exit(9);
    if (has_seccomp && sl_fence_close() < 0) _exit(9);
}

static void run(const char *what)
{
    if (strcmp(what, "garbage-fault") == 0) garbage_fault();
    if (strcmp(what, "garbage-packet") == 0) garbage_packet();
    if (strcmp(what, "garbage-memory") == 0) garbage_memory();
    if (strcmp(what, "wild-tail") == 0) wild_tail(UINT64_C(1) << 40);
    if (strcmp(what, "odd-tail") == 0) wild_tail(3);
    if (strcmp(what, "back-tail") == 0) wild_tail((uint64_t)-8);
    if (strcmp(what, "wild-answers") == 0) wild_answers();
    if (strcmp(what, "wild-kind") == 0) wild_kind();
    if (strcmp(what, "short-answer") == 0) short_answer();
    if (strcmp(what, "flood") == 0) flood();
    if (strcmp(what, "bells") == 0) bells();
    if (strcmp(what, "ready-again") == 0) ready_again();
    if (strcmp(what, "silence") == 0) silence();
    if (strcmp(what, "abort") == 0) die(SIGABRT);
    if (strcmp(what, "fault") == 0) die(SIGSEGV);
    if (strcmp(what, "illegal") == 0) die(SIGILL);
    if (strcmp(what, "exit") == 0) (void)call_take();
    if (strcmp(what, "fenced") == 0 || strcmp(what, "no-seccomp") == 0) fenced();
}

int animal_main(int argc, char **argv)
{
    static const int fds[SL_SHM_FDS] = {3, 4, 5};
    if (argc < 4 || strcmp(argv[1], SL_WORKER_COMMAND) != 0) return -1;
    if (strcmp(argv[3], "not-ready") == 0) _exit(1);
    if (sl_shm_attach(&shm, fds, false, NULL) < 0) _exit(8);
    pid_t parent = (pid_t)strtol(argv[2], NULL, 10);
    if (strcmp(argv[3], "fenced") == 0) fence_close(parent, true);
    if (strcmp(argv[3], "no-seccomp") == 0) fence_close(parent, false);
    send_ready();
    run(argv[3]);
    /* Whoever comes back here goes on as if nothing were wrong, until he is killed. */
    for (int i = 0; i < 1000 && strcmp(argv[3], "exit") != 0; i++) (void)usleep(10000);
    _exit(0);
}
