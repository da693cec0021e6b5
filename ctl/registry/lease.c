/* SPDX-License-Identifier: MIT */
#include "ctl/registry/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/assertion.h"
#include "core/base/hash.h"

enum { PATH_SIZE = 4096, NAME_SIZE = 256, PLAIN_NAME_MAX = 180, TAKE_TRIES = 5, TAKE_STEP_MS = 2 };

struct sl_lease {
    int fd; /* holds the lock as long as it is open */
    char *path;
};

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-_:", c) != NULL);
}

/* A file name for any lease name: a space becomes '.', other odd bytes %XX; a long one is cut,
   with its hash behind it. */
static void name_encode(const char *name, char ret[NAME_SIZE])
{
    size_t at = 0;
    for (const char *c = name; *c != '\0' && at < PLAIN_NAME_MAX; c++) {
        if (is_plain(*c))
            ret[at++] = *c;
        else if (*c == ' ')
            ret[at++] = '.';
        else
            at += (size_t)snprintf(ret + at, NAME_SIZE - at, "%%%02X", (unsigned char)*c);
    }
    ret[at] = '\0';
    if (at >= PLAIN_NAME_MAX) {
        uint64_t hash = sl_hash64(name, strlen(name));
        (void)snprintf(ret + at, NAME_SIZE - at, "+%016llx", (unsigned long long)hash);
    }
}

static int dir_make(const char *path)
{
    return mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : -errno;
}

/* Who holds it: the process id that the owner left in the file, or 0. */
static long owner_read(int fd)
{
    char text[32] = {0};
    ssize_t size = pread(fd, text, sizeof(text) - 1, 0);
    return size > 0 ? strtol(text, NULL, 10) : 0;
}

static void owner_write(int fd)
{
    char text[32];
    int size = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) == 0) (void)!pwrite(fd, text, (size_t)size, 0); /* only for people */
}

static int fail(struct sl_diag *reterr, int err, const char *name, const char *path)
{
    (void)sl_diag_set(reterr, "lease", (struct sl_pos){0, 0}, "lease \"%s\" in %s: %s", name, path,
                      strerror(-err));
    return err;
}

/* Who drops a lease removes its file: is the locked one still the one that others find? */
static bool is_in_place(int fd, const char *path)
{
    struct stat own;
    struct stat there;
    return fstat(fd, &own) == 0 && lstat(path, &there) == 0 && own.st_ino == there.st_ino &&
           own.st_dev == there.st_dev;
}

static int lease_open(const char *path, const char *name, struct sl_diag *reterr)
{
    int r = 0;
    long owner = 0;
    /* Who only asks (sl_lease_owner) holds a shared lock for a moment: try more than once. */
    for (int tries = 0; tries < TAKE_TRIES; tries++) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0) return fail(reterr, -errno, name, path);
        r = flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : -errno;
        if (r == 0 && is_in_place(fd, path)) return fd;
        owner = owner_read(fd);
        (void)close(fd);
        if (r != 0 && r != -EWOULDBLOCK) return fail(reterr, r, name, path);
        (void)poll(NULL, 0, TAKE_STEP_MS);
    }
    (void)sl_diag_set(reterr, "lease_held", (struct sl_pos){0, 0},
                      "%s is already owned by process %ld", name, owner);
    return -EWOULDBLOCK;
}

/* DIR/lease/NAME */
static int path_make(const char *dir, const char *name, char path[PATH_SIZE])
{
    char file[NAME_SIZE];
    name_encode(name, file);
    int size = snprintf(path, PATH_SIZE, "%s/lease/%s", dir, file);
    return size < 0 || size >= PATH_SIZE ? -ENAMETOOLONG : 0;
}

int sl_lease_owner(const char *dir, const char *name, long *ret_pid)
{
    sl_assert(dir != NULL);
    sl_assert(name != NULL);
    sl_assert(ret_pid != NULL);
    char path[PATH_SIZE];
    int r = path_make(dir, name, path);
    if (r < 0) return r;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno != ENOENT) return -errno;
    *ret_pid = 0;
    if (fd < 0) return 0;
    if (flock(fd, LOCK_SH | LOCK_NB) < 0) *ret_pid = errno == EWOULDBLOCK ? owner_read(fd) : 0;
    (void)close(fd);
    return 0;
}

int sl_lease_take(const char *dir, const char *name, struct sl_lease **ret_lease,
                  struct sl_diag *reterr)
{
    sl_assert(dir != NULL);
    sl_assert(name != NULL);
    sl_assert(ret_lease != NULL);
    char file[NAME_SIZE];
    char path[PATH_SIZE];
    name_encode(name, file);
    int size = snprintf(path, sizeof(path), "%s/lease", dir);
    if (size < 0 || (size_t)size + NAME_SIZE >= sizeof(path)) return -ENAMETOOLONG;
    int r = dir_make(dir);
    if (r == 0) r = dir_make(path);
    if (r != 0) return fail(reterr, r, name, path);
    (void)snprintf(path + size, sizeof(path) - (size_t)size, "/%s", file);
    int fd = lease_open(path, name, reterr);
    if (fd < 0) return fd == -EWOULDBLOCK ? SL_LEASE_HELD : fd;
    struct sl_lease *lease = calloc(1, sizeof(*lease));
    if (lease != NULL) lease->path = strdup(path);
    if (lease == NULL || lease->path == NULL) {
        free(lease);
        (void)close(fd);
        return -ENOMEM;
    }
    owner_write(fd);
    lease->fd = fd;
    *ret_lease = lease;
    return 0;
}

struct sl_lease *sl_lease_drop(struct sl_lease *lease)
{
    if (lease == NULL) return NULL;
    /* While it is locked: who opened the file before finds that it is not in place any more. */
    (void)unlink(lease->path);
    (void)close(lease->fd);
    free(lease->path);
    free(lease);
    return NULL;
}
