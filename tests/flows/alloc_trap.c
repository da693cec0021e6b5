/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into a runtime: counts what its shards' threads take from the system. The counters are
 * in a file that the test maps too (FLOW_TRAP); while `armed` is set, a call of a thread that is
 * named "sluice/N" counts, and the first of them leaves its stack.
 *
 * Both names of the allocator are hooked: libc's, and mimalloc's own, which core/mem calls.
 */
#include "tests/flows/alloc_trap.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

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

/* What dlsym itself asks for before there is an answer. */
static _Alignas(16) char early[16384];
static size_t early_used;

static void *early_take(size_t size)
{
    size_t at = early_used;
    early_used += (size + 15) & ~(size_t)15;
    return early_used <= sizeof(early) ? early + at : NULL;
}

#define NEXT(name, type)                                                                           \
    static type *next;                                                                             \
    static __thread bool looking;                                                                  \
    if (next == NULL && !looking) {                                                                \
        looking = true;                                                                            \
        void *found = dlsym(RTLD_NEXT, #name);                                                     \
        memcpy(&next, &found, sizeof(next));                                                       \
        looking = false;                                                                           \
    }

typedef void *take_fn(size_t);
typedef void *take_two_fn(size_t, size_t);
typedef void *again_fn(void *, size_t);
typedef void *heap_take_fn(void *, size_t);
typedef void *heap_take_two_fn(void *, size_t, size_t);
typedef void give_fn(void *);

void *malloc(size_t size)
{
    NEXT(malloc, take_fn)
    count(ALLOC_TRAP_MALLOC);
    return next != NULL ? next(size) : early_take(size);
}

void *calloc(size_t number, size_t size)
{
    NEXT(calloc, take_two_fn)
    count(ALLOC_TRAP_MALLOC);
    return next != NULL ? next(number, size) : early_take(number * size);
}

void *realloc(void *block, size_t size)
{
    NEXT(realloc, again_fn)
    count(ALLOC_TRAP_MALLOC);
    return next != NULL ? next(block, size) : early_take(size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    NEXT(aligned_alloc, take_two_fn)
    count(ALLOC_TRAP_MALLOC);
    return next != NULL ? next(alignment, size) : NULL;
}

int posix_memalign(void **ret_block, size_t alignment, size_t size)
{
    typedef int memalign_fn(void **, size_t, size_t);
    NEXT(posix_memalign, memalign_fn)
    count(ALLOC_TRAP_MALLOC);
    return next != NULL ? next(ret_block, alignment, size) : 12;
}

void free(void *block)
{
    NEXT(free, give_fn)
    if ((char *)block >= early && (char *)block < early + sizeof(early)) return;
    if (block != NULL) count(ALLOC_TRAP_FREE);
    if (next != NULL) next(block);
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

void *mi_malloc(size_t size);
void *mi_malloc(size_t size)
{
    NEXT(mi_malloc, take_fn)
    count(ALLOC_TRAP_MI);
    return next(size);
}

void *mi_heap_malloc(void *heap, size_t size);
void *mi_heap_malloc(void *heap, size_t size)
{
    NEXT(mi_heap_malloc, heap_take_fn)
    count(ALLOC_TRAP_MI);
    return next(heap, size);
}

void *mi_heap_malloc_aligned(void *heap, size_t size, size_t alignment);
void *mi_heap_malloc_aligned(void *heap, size_t size, size_t alignment)
{
    NEXT(mi_heap_malloc_aligned, heap_take_two_fn)
    count(ALLOC_TRAP_MI);
    return next(heap, size, alignment);
}

void mi_free(void *block);
void mi_free(void *block)
{
    NEXT(mi_free, give_fn)
    count(ALLOC_TRAP_MI);
    next(block);
}
