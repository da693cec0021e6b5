/* SPDX-License-Identifier: MIT */
/*
 * The doorbell and the watches. A registry in a directory rings FIFOs in DIR/watch; one in memory
 * rings eventfds that it has in a list. A watch's descriptor is an epoll of its bell and, with a
 * directory, of the slow tick.
 *
 * A FIFO gets its final name only once its reader has it open: a writer that met it before would
 * take it for a dead one and remove it.
 */
#include "ctl/registry/watch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "core/base/assertion.h"
#include "core/base/list.h"
#include "ctl/registry/internal.h"

enum { PATH_SIZE = 4096 };

struct doorbell {
    char *dir; /* DIR/watch, or NULL in memory */
    pthread_mutex_t lock;
    struct sl_list watches; /* in memory only */
};

struct sl_watch {
    struct sl_list item; /* of doorbell->watches */
    struct sl_registry *registry;
    uint64_t seen;
    int fd;      /* epoll */
    int bell_fd; /* FIFO or eventfd */
    int tick_fd; /* timerfd, or -1 */
    char *path;  /* of the FIFO, or NULL */
};

struct doorbell *doorbell_new(const char *dir)
{
    struct doorbell *doorbell = calloc(1, sizeof(*doorbell));
    if (doorbell == NULL) return NULL;
    (void)pthread_mutex_init(&doorbell->lock, NULL);
    sl_list_init(&doorbell->watches);
    if (dir != NULL && asprintf(&doorbell->dir, "%s/watch", dir) < 0) {
        doorbell->dir = NULL;
        return doorbell_free(doorbell);
    }
    return doorbell;
}

struct doorbell *doorbell_free(struct doorbell *doorbell)
{
    if (doorbell == NULL) return NULL;
    sl_assert(sl_list_is_empty(&doorbell->watches));
    (void)pthread_mutex_destroy(&doorbell->lock);
    free(doorbell->dir);
    free(doorbell);
    return NULL;
}

static void poke(int fd)
{
    static const uint64_t one = 1; /* eight bytes, as an eventfd wants; a FIFO does not care */
    (void)!write(fd, &one, sizeof(one)); /* a full bell is a rung bell */
}

/* Ring one FIFO; remove it if nobody reads it. */
static void ring_fifo(int dir_fd, const char *name)
{
    int fd = openat(dir_fd, name, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        if (errno == ENXIO) (void)unlinkat(dir_fd, name, 0);
        return;
    }
    poke(fd);
    (void)close(fd);
}

static void ring_dir(const char *path)
{
    DIR *dir = opendir(path);
    if (dir == NULL) return; /* nobody has ever watched */
    for (int i = 0; i < SL_REGISTRY_WATCHERS_MAX; i++) {
        struct dirent *entry = readdir(dir);
        if (entry == NULL) break;
        if (entry->d_name[0] != '.') ring_fifo(dirfd(dir), entry->d_name);
    }
    (void)closedir(dir);
}

void doorbell_ring(struct doorbell *doorbell)
{
    if (doorbell->dir != NULL) {
        ring_dir(doorbell->dir);
        return;
    }
    (void)pthread_mutex_lock(&doorbell->lock);
    for (struct sl_list *at = doorbell->watches.next; at != &doorbell->watches; at = at->next) {
        poke(sl_container_of(at, struct sl_watch, item)->bell_fd);
    }
    (void)pthread_mutex_unlock(&doorbell->lock);
}

void sl_registry_ring(struct sl_registry *registry)
{
    sl_assert(registry != NULL);
    doorbell_ring(registry->doorbell);
}

/* ------------------------------------------------------------------------------------------ */

static int fifo_open(struct sl_watch *watch, const char *dir)
{
    char name[SL_ID_SIZE];
    char tmp[PATH_SIZE];
    struct id id;
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) return -errno;
    id_random(sl_clock_system(), &id);
    id_format(&id, name);
    if (asprintf(&watch->path, "%s/%s", dir, name) < 0) {
        watch->path = NULL;
        return -ENOMEM;
    }
    if (snprintf(tmp, sizeof(tmp), "%s/.%s", dir, name) >= (int)sizeof(tmp)) return -ENAMETOOLONG;
    if (mkfifo(tmp, 0600) != 0) return -errno;
    watch->bell_fd = open(tmp, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (watch->bell_fd >= 0 && rename(tmp, watch->path) == 0) return 0;
    int r = -errno;
    (void)unlink(tmp);
    return r;
}

static int tick_open(struct sl_watch *watch)
{
    struct timespec tick = {.tv_nsec = (long)(SL_REGISTRY_WATCH_TICK_MS * SL_NS_PER_MS)};
    struct itimerspec every = {.it_interval = tick, .it_value = tick};
    watch->tick_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (watch->tick_fd < 0) return -errno;
    return timerfd_settime(watch->tick_fd, 0, &every, NULL) == 0 ? 0 : -errno;
}

static int bell_open(struct sl_watch *watch, const char *dir)
{
    if (dir != NULL) {
        int r = fifo_open(watch, dir);
        return r == 0 ? tick_open(watch) : r;
    }
    watch->bell_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return watch->bell_fd >= 0 ? 0 : -errno;
}

static int epoll_add(int epoll_fd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

static int watch_open_fds(struct sl_watch *watch, const char *dir)
{
    int r = bell_open(watch, dir);
    if (r != 0) return r;
    watch->fd = epoll_create1(EPOLL_CLOEXEC);
    if (watch->fd < 0) return -errno;
    r = epoll_add(watch->fd, watch->bell_fd);
    if (r == 0 && watch->tick_fd >= 0) r = epoll_add(watch->fd, watch->tick_fd);
    return r;
}

static void watch_list(struct sl_watch *watch)
{
    struct doorbell *doorbell = watch->registry->doorbell;
    if (doorbell->dir != NULL) return;
    (void)pthread_mutex_lock(&doorbell->lock);
    sl_list_insert(&doorbell->watches, &watch->item);
    (void)pthread_mutex_unlock(&doorbell->lock);
}

int sl_watch_open(struct sl_registry *registry, uint64_t from, struct sl_watch **ret_watch)
{
    sl_assert(registry != NULL);
    sl_assert(ret_watch != NULL);
    struct sl_watch *watch = calloc(1, sizeof(*watch));
    if (watch == NULL) return -ENOMEM;
    sl_list_init(&watch->item);
    watch->registry = registry;
    watch->fd = watch->bell_fd = watch->tick_fd = -1;
    uint64_t newest = 0;
    int r = watch_open_fds(watch, registry->doorbell->dir);
    if (r == 0) watch_list(watch); /* before the revision is read: nothing is missed */
    if (r == 0) r = sl_registry_revision(registry, &newest);
    if (r != 0) {
        watch = sl_watch_close(watch);
        return r;
    }
    watch->seen = from == SL_REVISION_NEWEST ? newest : from;
    if (newest > watch->seen) poke(watch->bell_fd);
    *ret_watch = watch;
    return 0;
}

static void fd_close(int fd)
{
    if (fd >= 0) (void)close(fd);
}

struct sl_watch *sl_watch_close(struct sl_watch *watch)
{
    if (watch == NULL) return NULL;
    (void)pthread_mutex_lock(&watch->registry->doorbell->lock);
    sl_list_remove(&watch->item);
    (void)pthread_mutex_unlock(&watch->registry->doorbell->lock);
    if (watch->path != NULL) (void)unlink(watch->path);
    free(watch->path);
    fd_close(watch->fd);
    fd_close(watch->bell_fd);
    fd_close(watch->tick_fd);
    free(watch);
    return NULL;
}

int sl_watch_fd(const struct sl_watch *watch)
{
    sl_assert(watch != NULL);
    return watch->fd;
}

/* Empty a bell: a FIFO holds at most 64 KiB, an eventfd and a timerfd one number. */
static void drain(int fd)
{
    uint8_t bytes[4096];
    if (fd < 0) return;
    for (int i = 0; i < 64 && read(fd, bytes, sizeof(bytes)) == (ssize_t)sizeof(bytes); i++) {}
}

int sl_watch_poll(struct sl_watch *watch, uint64_t *ret_revision)
{
    sl_assert(watch != NULL);
    sl_assert(ret_revision != NULL);
    uint64_t newest;
    drain(watch->bell_fd); /* before the revision is read: a later poke stays */
    drain(watch->tick_fd);
    int r = sl_registry_revision(watch->registry, &newest);
    if (r != 0) return r;
    bool is_new = newest > watch->seen;
    if (is_new) watch->seen = newest;
    *ret_revision = newest;
    return is_new;
}
