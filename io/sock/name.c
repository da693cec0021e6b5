/* SPDX-License-Identifier: MIT */
#include "io/sock/name.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/assertion.h"
#include "core/base/clock.h"
#include "core/base/list.h"

enum { ADDR_WORDS = 4 }; /* of 8 bytes: a sockaddr_in6 */

static_assert(sizeof(struct sockaddr_in6) <= ADDR_WORDS * sizeof(uint64_t), "an address fits");

struct sl_name {
    /* Read by shards; written by the thread. */
    alignas(64) _Atomic uint32_t sequence; /* odd: it is being written */
    _Atomic int error;
    _Atomic uint32_t count;
    _Atomic uint64_t words[SL_NAME_ADDRS_MAX][ADDR_WORDS];
    _Atomic uint32_t sizes[SL_NAME_ADDRS_MAX];
    /* Written by shards, seldom. */
    alignas(64) _Atomic bool used;
    /* Of the thread and the control thread, under the lock. */
    alignas(64) struct sl_list link;
    uint64_t due_ns;  /* look up then, if used */
    bool is_busy;     /* the thread has it */
    bool is_orphaned; /* freed meanwhile */
    uint16_t port;
    char host[SL_NAME_HOST_MAX + 1];
};

static int lookup_system(const char *host, uint16_t port, struct sl_addr *ret_addrs,
                         uint32_t *ret_count);

/*
 * The thread is never joined: it may stand in a lookup for many seconds, and touches nothing
 * but the names, which it frees itself where they were forgotten meanwhile.
 */
static struct {
    pthread_mutex_t lock;
    struct sl_list names;
    sem_t wake;
    bool is_running;
    sl_name_lookup_fn *lookup;
} all = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .names = {&all.names, &all.names},
    .lookup = lookup_system,
};

static uint64_t now_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * SL_NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

static int lookup_system(const char *host, uint16_t port, struct sl_addr *ret_addrs,
                         uint32_t *ret_count)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char service[8];
    uint32_t count = 0;
    hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV;
    (void)snprintf(service, sizeof(service), "%u", port);
    int error = getaddrinfo(host, service, &hints, &found);
    if (error != 0) return error;
    for (const struct addrinfo *at = found; at != NULL && count < SL_NAME_ADDRS_MAX;
         at = at->ai_next) {
        if (at->ai_family != AF_INET && at->ai_family != AF_INET6) continue;
        struct sl_addr *addr = &ret_addrs[count++];
        memset(addr, 0, sizeof(*addr));
        memcpy(&addr->storage, at->ai_addr, at->ai_addrlen);
        addr->size = at->ai_addrlen;
    }
    freeaddrinfo(found);
    *ret_count = count;
    return count > 0 ? 0 : EAI_NODATA;
}

/* True if the name has exactly these already: readers are not disturbed. */
static bool has_same(struct sl_name *name, const struct sl_addr *addrs, uint32_t count)
{
    struct sl_name_addrs old;
    sl_name_read(name, &old);
    if (old.count != count) return false;
    for (uint32_t i = 0; i < count; i++) {
        if (old.addrs[i].size != addrs[i].size) return false;
        if (memcmp(&old.addrs[i].storage, &addrs[i].storage, addrs[i].size) != 0) return false;
    }
    return true;
}

static void publish(struct sl_name *name, int error, const struct sl_addr *addrs, uint32_t count)
{
    uint32_t sequence = atomic_load_explicit(&name->sequence, memory_order_relaxed);
    atomic_store_explicit(&name->sequence, sequence + 1, memory_order_relaxed);
    /* Release, each: whoever sees one of them sees the odd sequence too. */
    atomic_store_explicit(&name->error, error, memory_order_release);
    atomic_store_explicit(&name->count, count, memory_order_release);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t words[ADDR_WORDS] = {0};
        sl_assert(addrs[i].size <= sizeof(words));
        memcpy(words, &addrs[i].storage, addrs[i].size);
        atomic_store_explicit(&name->sizes[i], (uint32_t)addrs[i].size, memory_order_release);
        for (uint32_t j = 0; j < ADDR_WORDS; j++) {
            atomic_store_explicit(&name->words[i][j], words[j], memory_order_release);
        }
    }
    atomic_store_explicit(&name->sequence, sequence + 2, memory_order_release);
}

/* Without the lock: `name` is busy, so it stays. */
static int look_up(struct sl_name *name)
{
    struct sl_addr addrs[SL_NAME_ADDRS_MAX];
    uint32_t count = 0;
    int error = all.lookup(name->host, name->port, addrs, &count);
    bool was_found = atomic_load_explicit(&name->count, memory_order_relaxed) > 0;
    if (error == 0 && !has_same(name, addrs, count)) publish(name, 0, addrs, count);
    /* What was found before is better than nothing. */
    if (error != 0 && !was_found) publish(name, error, addrs, 0);
    return error;
}

/* A name that is used and due, or NULL; `ret_next_ns` is when there may be another. */
static struct sl_name *next_due(uint64_t now, uint64_t *ret_next_ns)
{
    for (struct sl_list *at = all.names.next; at != &all.names; at = at->next) {
        struct sl_name *name = sl_container_of(at, struct sl_name, link);
        if (!atomic_load_explicit(&name->used, memory_order_relaxed)) continue;
        if (name->due_ns <= now) return name;
        if (name->due_ns < *ret_next_ns) *ret_next_ns = name->due_ns;
    }
    return NULL;
}

/* Look up all that are due. Returns when to look again. */
static uint64_t round_run(void)
{
    (void)pthread_mutex_lock(&all.lock);
    uint64_t next_ns;
    for (;;) {
        uint64_t now = now_ns();
        next_ns = now + SL_NAME_REFRESH_MS * SL_NS_PER_MS;
        struct sl_name *name = next_due(now, &next_ns);
        if (name == NULL) break;
        name->is_busy = true;
        atomic_store_explicit(&name->used, false, memory_order_relaxed);
        (void)pthread_mutex_unlock(&all.lock);
        bool is_fine = look_up(name) == 0;
        (void)pthread_mutex_lock(&all.lock);
        name->is_busy = false;
        uint32_t ms = is_fine ? SL_NAME_REFRESH_MS : SL_NAME_RETRY_MS;
        name->due_ns = now_ns() + ms * SL_NS_PER_MS;
        if (name->is_orphaned) {
            sl_list_remove(&name->link);
            free(name);
        }
    }
    (void)pthread_mutex_unlock(&all.lock);
    return next_ns;
}

static void *names_main(void *arg)
{
    (void)arg;
    (void)pthread_setname_np(pthread_self(), "sluice/names");
    for (;;) {
        uint64_t until = round_run();
        struct timespec ts = {(time_t)(until / SL_NS_PER_SEC), (long)(until % SL_NS_PER_SEC)};
        while (sem_clockwait(&all.wake, CLOCK_MONOTONIC, &ts) < 0 && errno == EINTR) {}
    }
    return NULL;
}

/* Under the lock. */
static int thread_start(void)
{
    pthread_t thread;
    pthread_attr_t attr;
    sigset_t every;
    sigset_t before;
    if (all.is_running) return 0;
    if (sem_init(&all.wake, 0, 0) < 0) return -errno;
    (void)sigfillset(&every);
    (void)pthread_sigmask(SIG_SETMASK, &every, &before);
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    int r = pthread_create(&thread, &attr, names_main, NULL);
    (void)pthread_attr_destroy(&attr);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    all.is_running = r == 0;
    return -r;
}

struct sl_name *sl_name_new(struct sl_slice host, uint16_t port)
{
    sl_assert(host.size > 0);
    sl_assert(host.size <= SL_NAME_HOST_MAX);
    struct sl_name *name = aligned_alloc(alignof(struct sl_name), sizeof(*name));
    if (name == NULL) return NULL;
    memset(name, 0, sizeof(*name));
    memcpy(name->host, host.data, host.size);
    name->port = port;
    (void)pthread_mutex_lock(&all.lock);
    int r = thread_start();
    if (r == 0) sl_list_insert(&all.names, &name->link);
    (void)pthread_mutex_unlock(&all.lock);
    if (r == 0) return name;
    free(name);
    return NULL;
}

struct sl_name *sl_name_free(struct sl_name *name)
{
    if (name == NULL) return NULL;
    (void)pthread_mutex_lock(&all.lock);
    if (name->is_busy) {
        atomic_store_explicit(&name->used, false, memory_order_relaxed);
        name->is_orphaned = true;
    } else {
        sl_list_remove(&name->link);
        free(name);
    }
    (void)pthread_mutex_unlock(&all.lock);
    return NULL;
}

void sl_name_use(struct sl_name *name)
{
    sl_assert(name != NULL);
    if (atomic_load_explicit(&name->used, memory_order_relaxed)) return;
    atomic_store_explicit(&name->used, true, memory_order_relaxed);
    /* What is known may be old, and is good until the thread comes round. */
    if (atomic_load_explicit(&name->count, memory_order_relaxed) == 0) (void)sem_post(&all.wake);
}

bool sl_name_is_newer(const struct sl_name *name, uint32_t version)
{
    return atomic_load_explicit(&name->sequence, memory_order_acquire) != version;
}

void sl_name_read(const struct sl_name *name, struct sl_name_addrs *ret_addrs)
{
    sl_assert(name != NULL);
    sl_assert(ret_addrs != NULL);
    for (;;) {
        uint32_t before = atomic_load_explicit(&name->sequence, memory_order_acquire);
        if (before & 1) continue;
        ret_addrs->error = atomic_load_explicit(&name->error, memory_order_acquire);
        ret_addrs->count = atomic_load_explicit(&name->count, memory_order_acquire);
        for (uint32_t i = 0; i < ret_addrs->count && i < SL_NAME_ADDRS_MAX; i++) {
            uint64_t words[ADDR_WORDS];
            struct sl_addr *addr = &ret_addrs->addrs[i];
            for (uint32_t j = 0; j < ADDR_WORDS; j++) {
                words[j] = atomic_load_explicit(&name->words[i][j], memory_order_acquire);
            }
            memset(addr, 0, sizeof(*addr));
            addr->size = atomic_load_explicit(&name->sizes[i], memory_order_acquire);
            memcpy(&addr->storage, words, sizeof(words));
        }
        /* The acquires above: this load is not done before them. */
        if (atomic_load_explicit(&name->sequence, memory_order_relaxed) != before) continue;
        ret_addrs->version = before;
        return;
    }
}

void sl_name_lookup_set(sl_name_lookup_fn *fn)
{
    (void)pthread_mutex_lock(&all.lock);
    sl_assert(sl_list_is_empty(&all.names));
    all.lookup = fn != NULL ? fn : lookup_system;
    (void)pthread_mutex_unlock(&all.lock);
}
