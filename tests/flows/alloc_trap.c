/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into a runtime: counts what its shards' threads take from the system. The counters are
 * in a file that the test maps too (FLOW_TRAP); while `armed` is set, a call of a thread that is
 * named "sluice/N" counts, and the first of them leaves its stack.
 */
#include "tests/flows/alloc_trap.h"

#include <execinfo.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench/micro/interpose.h"

static struct alloc_trap *trap;

static void count(enum alloc_trap_call call)
{
    static __thread bool inside;
    char name[16] = "";
    if (trap == NULL || inside || !atomic_load_explicit(&trap->armed, memory_order_relaxed)) return;
    (void)prctl(PR_GET_NAME, name);
    if (strncmp(name, "sluice/", 7) != 0) return;
    if (atomic_fetch_add(&trap->counts[call], 1) > 0) return;
    inside = true;
    void *frames[ALLOC_TRAP_FRAMES];
    int depth = backtrace(frames, ALLOC_TRAP_FRAMES);
    char **symbols = backtrace_symbols(frames, depth);
    size_t used = 0;
    for (int i = 1; symbols != NULL && i < depth && used + 160 < sizeof(trap->stack); i++) {
        size_t size = strnlen(symbols[i], 150);
        memcpy(trap->stack + used, symbols[i], size);
        trap->stack[used + size] = '\n';
        used += size + 1;
    }
    free(symbols);
    inside = false;
}

__attribute__((constructor)) static void trap_open(void)
{
    const char *path = getenv("FLOW_TRAP");
    void *warm[1];
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) return;
    (void)backtrace(warm, 1); /* it loads a library the first time */
    void *map = mmap(NULL, sizeof(*trap), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (map != MAP_FAILED) trap = map;
}

static void interposed(enum interposed_call call, size_t size)
{
    static const enum alloc_trap_call calls[] = {
        [INTERPOSED_TAKE] = ALLOC_TRAP_MALLOC,
        [INTERPOSED_GIVE] = ALLOC_TRAP_FREE,
        [INTERPOSED_MI_TAKE] = ALLOC_TRAP_MI,
        [INTERPOSED_MI_GIVE] = ALLOC_TRAP_MI,
    };
    (void)size;
    count(calls[call]);
}

void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    count(ALLOC_TRAP_MMAP);
    return (void *)syscall(SYS_mmap, at, size, protection, flags, fd, offset);
}

int munmap(void *at, size_t size)
{
    count(ALLOC_TRAP_MMAP);
    return (int)syscall(SYS_munmap, at, size);
}
