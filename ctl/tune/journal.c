/* SPDX-License-Identifier: MIT */
#include "ctl/tune/journal.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/assertion.h"
#include "ctl/tune/journal_text.h"

enum { FILE_MODE = 0644, DIR_MODE = 0755, BACKUPS_MAX = 1000, JOURNAL_SIZE_MAX = 64 * 1024 * 1024 };

/* A name that is nobody's but ours: it is overwritten and removed. */
static const char NEXT_SUFFIX[] = ".tune-new";

struct sl_tune_journal {
    const struct sl_tune_tree *tree;
    char dir[SL_TUNE_PATH_SIZE];
    char path[SL_TUNE_PATH_SIZE];
    bool dry;
    int lock_fd; /* of the folder */
    struct sl_tune_entries list;
};

/* ---- steps ----------------------------------------------------------------------------------- */

static void (*step_fn)(void *ctx, unsigned step);
static void *step_ctx;
static unsigned step_next;

void sl_tune_journal_on_step(void (*fn)(void *ctx, unsigned step), void *ctx)
{
    step_fn = fn;
    step_ctx = ctx;
    step_next = 0;
}

static void step(void)
{
    if (step_fn != NULL) step_fn(step_ctx, step_next++);
}

static int failed(struct sl_diag *reterr, const char *what, const char *path, int error)
{
    (void)sl_diag_set(reterr, "tune_failed", (struct sl_pos){0, 0}, "%s %s: %s", what, path,
                      strerror(-error));
    return error;
}

/* ---- files ----------------------------------------------------------------------------------- */

static int all_write(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t done = write(fd, data, size);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return -errno;
        if (done == 0) return -EIO;
        data += done;
        size -= (size_t)done;
    }
    return 0;
}

/* Sync the folder that `path` stands in, so that a rename is on the disk. */
static int folder_sync(const char *path)
{
    char dir[SL_TUNE_PATH_SIZE];
    (void)snprintf(dir, sizeof(dir), "%.*s", SL_TUNE_PATH_SIZE - 1, path);
    char *slash = strrchr(dir, '/');
    if (slash == NULL) {
        (void)snprintf(dir, sizeof(dir), ".");
    } else {
        slash[slash == dir] = '\0';
    }
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return -errno;
    int r = fsync(fd) < 0 ? -errno : 0;
    (void)close(fd);
    return r;
}

/* Owner and mode of the file that is replaced, before anything stands in the new one. */
static int rights_take(const char *path, int fd)
{
    struct stat info;
    if (stat(path, &info) < 0) return errno == ENOENT ? 0 : -errno;
    /* Without root it stays ours: then at least nobody reads more of it than before. */
    bool is_kept = info.st_uid == geteuid() && info.st_gid == getegid();
    if (!is_kept) is_kept = fchown(fd, info.st_uid, info.st_gid) == 0;
    mode_t mode = is_kept ? info.st_mode & 07777 : info.st_mode & 0700;
    return fchmod(fd, mode) < 0 ? -errno : 0;
}

/* The whole file or the old one: new file, sync, rename, sync. */
static int file_replace(const char *path, const char *data, size_t size)
{
    char next[SL_TUNE_PATH_SIZE + sizeof(NEXT_SUFFIX)];
    (void)snprintf(next, sizeof(next), "%s%s", path, NEXT_SUFFIX);
    step();
    (void)unlink(next); /* of a process that was killed */
    int fd = open(next, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (fd < 0) return -errno;
    int r = rights_take(path, fd);
    if (r == 0) r = all_write(fd, data, size);
    if (r == 0 && fsync(fd) < 0) r = -errno;
    if (close(fd) < 0 && r == 0) r = -errno;
    step();
    if (r == 0 && rename(next, path) < 0) r = -errno;
    if (r < 0) {
        (void)unlink(next);
        return r;
    }
    return folder_sync(path);
}

/* The part of `path` that ends at the slash (or the end) at `i`. */
static void part_of(const char *path, size_t i, char *buf)
{
    (void)snprintf(buf, SL_TUNE_PATH_SIZE, "%.*s", (int)i, path);
}

/* All folders of a path, the last one included. */
static int folders_make(const char *path)
{
    char part[SL_TUNE_PATH_SIZE];
    size_t size = strlen(path);
    if (size >= sizeof(part)) return -ENAMETOOLONG;
    for (size_t i = 1; i <= size; i++) {
        if (path[i] != '/' && path[i] != '\0') continue;
        part_of(path, i, part);
        if (mkdir(part, DIR_MODE) < 0 && errno != EEXIST) return -errno;
    }
    return 0;
}

/* Write the journal as it is in memory; without entries it is removed. */
static int journal_store(struct sl_tune_journal *journal)
{
    sl_assert(!journal->dry);
    if (journal->list.count == 0) {
        step();
        if (unlink(journal->path) < 0 && errno != ENOENT) return -errno;
        return folder_sync(journal->path);
    }
    size_t size = 0;
    char *text = sl_tune_entries_format(&journal->list, &size);
    int r = file_replace(journal->path, text, size);
    free(text);
    return r;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* Somebody else could have written it: what it names is not to be touched in our name. */
static bool is_trusted(const struct stat *info)
{
    bool is_own = info->st_uid == geteuid() || info->st_uid == 0;
    return is_own && (info->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static const char *load_hint(int r)
{
    if (r == -EACCES) {
        return "it belongs to another user, or others may write it: run --revert as its owner";
    }
    if (r == -EPERM) return "it names what tune never changes: look at it, and move it away";
    return "it says what was changed; look at it, and move it away";
}

static int journal_read(struct sl_tune_journal *journal, int fd)
{
    struct stat info;
    if (fstat(fd, &info) < 0) return -errno;
    if (!S_ISREG(info.st_mode) || info.st_size > JOURNAL_SIZE_MAX) return -EBADMSG;
    if (!is_trusted(&info)) return -EACCES;
    char *text = malloc((size_t)info.st_size + 1);
    sl_assert(text != NULL);
    ssize_t size = read(fd, text, (size_t)info.st_size);
    int r = size < 0 ? -errno : sl_tune_entries_parse(&journal->list, text, (size_t)size);
    free(text);
    return r;
}

static int journal_load(struct sl_tune_journal *journal, struct sl_diag *reterr)
{
    int fd = open(journal->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) return errno == ENOENT ? 0 : failed(reterr, "cannot read", journal->path, -errno);
    int r = journal_read(journal, fd);
    (void)close(fd);
    if (r < 0) {
        (void)failed(reterr, "cannot use the journal", journal->path, r);
        sl_diag_hint(reterr, "%s", load_hint(r));
    }
    return r;
}

static int journal_lock(struct sl_tune_journal *journal, struct sl_diag *reterr)
{
    if (journal->dry) return 0;
    int r = folders_make(journal->dir);
    if (r < 0) return failed(reterr, "cannot make", journal->dir, r);
    journal->lock_fd = open(journal->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (journal->lock_fd < 0) return failed(reterr, "cannot open", journal->dir, -errno);
    if (flock(journal->lock_fd, LOCK_EX | LOCK_NB) == 0) return 0;
    if (errno != EWOULDBLOCK) return failed(reterr, "cannot lock", journal->dir, -errno);
    (void)sl_diag_set(reterr, "tune_busy", (struct sl_pos){0, 0},
                      "another sluice tune is at work (it holds %s)", journal->dir);
    return -EBUSY;
}

int sl_tune_journal_open(const struct sl_tune_tree *tree, const char *dir, const char *name,
                         bool dry, struct sl_tune_journal **ret_journal, struct sl_diag *reterr)
{
    sl_assert(tree != NULL);
    sl_assert(ret_journal != NULL);
    struct sl_tune_journal *journal = calloc(1, sizeof(*journal));
    if (journal == NULL) return -ENOMEM;
    journal->tree = tree;
    journal->dry = dry;
    journal->lock_fd = -1;
    int size = snprintf(journal->path, sizeof(journal->path), "%s/%s", dir, name);
    int r = size < 0 || (size_t)size >= sizeof(journal->path) - 8 ? -ENAMETOOLONG : 0;
    if (r < 0) (void)failed(reterr, "cannot use", dir, r);
    if (r == 0) (void)snprintf(journal->dir, sizeof(journal->dir), "%s", dir);
    if (r == 0) r = journal_lock(journal, reterr);
    if (r == 0) r = journal_load(journal, reterr);
    if (r < 0) {
        (void)sl_tune_journal_close(journal);
        return r;
    }
    *ret_journal = journal;
    return 0;
}

struct sl_tune_journal *sl_tune_journal_close(struct sl_tune_journal *journal)
{
    if (journal == NULL) return NULL;
    if (journal->lock_fd >= 0) (void)close(journal->lock_fd);
    sl_tune_entries_cut(&journal->list, 0);
    free(journal);
    return NULL;
}

size_t sl_tune_journal_count(const struct sl_tune_journal *journal)
{
    sl_assert(journal != NULL);
    return journal->list.count;
}

const char *sl_tune_journal_path(const struct sl_tune_journal *journal, size_t index)
{
    sl_assert(index < journal->list.count);
    return journal->list.items[index].path;
}

static struct sl_tune_entry *entry_find(const struct sl_tune_journal *journal, const char *path,
                                        enum sl_tune_entry_kind kind)
{
    for (size_t i = 0; i < journal->list.count; i++) {
        struct sl_tune_entry *entry = &journal->list.items[i];
        if (entry->kind == kind && strcmp(entry->path, path) == 0) return entry;
    }
    return NULL;
}

/* ---- values ---------------------------------------------------------------------------------- */

/* The bytes of a value as they are. 0 or -errno; the caller frees *ret_data. */
static int value_read(const struct sl_tune_journal *journal, const char *path, char **ret_data,
                      size_t *ret_size)
{
    char full[SL_TUNE_PATH_SIZE];
    sl_tune_path(journal->tree, path, full, sizeof(full));
    int fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return -errno;
    char *data = malloc(SL_TUNE_OLD_SIZE_MAX + 1);
    sl_assert(data != NULL);
    size_t size = 0;
    int r = 0;
    while (size <= SL_TUNE_OLD_SIZE_MAX) {
        ssize_t got = read(fd, data + size, SL_TUNE_OLD_SIZE_MAX + 1 - size);
        if (got < 0) r = -errno;
        if (got <= 0) break;
        size += (size_t)got;
    }
    (void)close(fd);
    if (r == 0 && size > SL_TUNE_OLD_SIZE_MAX) r = -EFBIG;
    if (r < 0) {
        free(data);
        return r;
    }
    data[size] = '\0';
    *ret_data = data;
    *ret_size = size;
    return 0;
}

static int value_write(const struct sl_tune_journal *journal, const char *path, const char *data,
                       size_t size)
{
    char full[SL_TUNE_PATH_SIZE];
    sl_tune_path(journal->tree, path, full, sizeof(full));
    step();
    /* One write: the kernel takes each as a value of its own. */
    int fd = open(full, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (fd < 0) return -errno;
    ssize_t done = write(fd, data, size);
    int r = done < 0 ? -errno : (size_t)done == size ? 0 : -EIO;
    if (close(fd) < 0 && r == 0) r = -errno;
    return r;
}

int sl_tune_journal_keep(struct sl_tune_journal *journal, const char *const *paths, size_t count,
                         struct sl_diag *reterr)
{
    sl_assert(journal != NULL);
    sl_assert(!journal->dry);
    for (size_t i = 0; i < count; i++) sl_assert(sl_tune_value_is_ours(paths[i]));
    size_t before = journal->list.count;
    int r = 0;
    const char *path = "";
    for (size_t i = 0; i < count && r == 0; i++) {
        struct sl_tune_entry entry = {.kind = SL_TUNE_ENTRY_VALUE};
        path = paths[i];
        if (entry_find(journal, path, SL_TUNE_ENTRY_VALUE) != NULL) continue;
        if (journal->list.count == SL_TUNE_ENTRIES_MAX) r = -E2BIG;
        if (r == 0) r = value_read(journal, path, &entry.old, &entry.old_size);
        if (r < 0) break;
        entry.path = strdup(path);
        sl_assert(entry.path != NULL);
        sl_tune_entries_add(&journal->list, entry);
    }
    if (r == 0 && journal->list.count > before) {
        path = journal->path;
        r = journal_store(journal);
    }
    if (r < 0) {
        sl_tune_entries_cut(&journal->list, before);
        return failed(reterr, "cannot keep what was in", path, r);
    }
    return 0;
}

int sl_tune_journal_set(struct sl_tune_journal *journal, const char *path, const char *value,
                        struct sl_diag *reterr)
{
    sl_assert(journal != NULL);
    sl_assert(value != NULL);
    sl_assert(entry_find(journal, path, SL_TUNE_ENTRY_VALUE) != NULL);
    int r = value_write(journal, path, value, strlen(value));
    return r < 0 ? failed(reterr, "cannot write", path, r) : 0;
}

static bool value_is(const struct sl_tune_journal *journal, const struct sl_tune_entry *entry)
{
    char *data;
    size_t size;
    if (value_read(journal, entry->path, &data, &size) < 0) return false;
    bool same = size == entry->old_size && memcmp(data, entry->old, size) == 0;
    free(data);
    return same;
}

/*
 * The bytes themselves, and if that is not what the file takes ("always [madvise] never"), the
 * word in brackets. What counts is that the file reads as before.
 */
static int value_revert(const struct sl_tune_journal *journal, const struct sl_tune_entry *entry)
{
    char choice[SL_TUNE_OLD_SIZE_MAX + 1];
    if (value_is(journal, entry)) return 0;
    int r = value_write(journal, entry->path, entry->old, entry->old_size);
    if (r == 0 && value_is(journal, entry)) return 0;
    sl_tune_choice(entry->old, choice, sizeof(choice));
    int again = value_write(journal, entry->path, choice, strlen(choice));
    if (again == 0 && value_is(journal, entry)) return 0;
    return r < 0 ? r : again < 0 ? again : -EIO;
}

/* ---- files of ours --------------------------------------------------------------------------- */

static bool file_is(const char *path, const char *text, size_t size)
{
    struct stat info;
    if (stat(path, &info) < 0 || !S_ISREG(info.st_mode) || (size_t)info.st_size != size)
        return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *data = malloc(size + 1);
    sl_assert(data != NULL);
    ssize_t got = fd < 0 ? -1 : read(fd, data, size + 1);
    if (fd >= 0) (void)close(fd);
    bool same = got == (ssize_t)size && memcmp(data, text, size) == 0;
    free(data);
    return same;
}

/* "PATH.word.1", or the next number that is free. */
static int name_free(const char *path, const char *word, char *buf)
{
    struct stat info;
    for (int i = 1; i < BACKUPS_MAX; i++) {
        int size = snprintf(buf, SL_TUNE_PATH_SIZE, "%s%s%d", path, word, i);
        if (size < 0 || size >= SL_TUNE_PATH_SIZE) return -ENAMETOOLONG;
        if (lstat(buf, &info) < 0 && errno == ENOENT) return 0;
    }
    return -EEXIST;
}

/* Remember, then make, the folders above `path` that are not there. */
static int folders_keep(struct sl_tune_journal *journal, const char *path)
{
    char part[SL_TUNE_PATH_SIZE];
    struct stat info;
    for (size_t i = 1; path[i] != '\0'; i++) {
        if (path[i] != '/') continue;
        part_of(path, i, part);
        if (stat(part, &info) == 0) continue;
        struct sl_tune_entry entry = {
            .kind = SL_TUNE_ENTRY_FOLDER, .path = strdup(part), .old = strdup("-"), .old_size = 1};
        sl_assert(entry.path != NULL);
        sl_assert(entry.old != NULL);
        if (journal->list.count == SL_TUNE_ENTRIES_MAX) return -E2BIG;
        sl_tune_entries_add(&journal->list, entry);
        int r = journal_store(journal);
        step();
        if (r == 0 && mkdir(part, DIR_MODE) < 0 && errno != EEXIST) r = -errno;
        if (r < 0) return r;
    }
    return 0;
}

static int file_keep(struct sl_tune_journal *journal, const char *path, uint64_t hash,
                     char *ret_backup)
{
    struct stat info;
    struct sl_tune_entry entry = {.kind = SL_TUNE_ENTRY_FILE, .hashes = {hash, hash}};
    int r = 0;
    bool is_there = lstat(path, &info) == 0;
    if (is_there && !S_ISREG(info.st_mode))
        return -EINVAL; /* a link or a device: not ours to move */
    if (journal->list.count == SL_TUNE_ENTRIES_MAX) return -E2BIG;
    if (is_there) r = name_free(path, SL_TUNE_BEFORE, ret_backup);
    if (r < 0) return r;
    entry.path = strdup(path);
    entry.old = strdup(is_there ? ret_backup : "-");
    sl_assert(entry.path != NULL);
    sl_assert(entry.old != NULL);
    entry.old_size = strlen(entry.old);
    sl_tune_entries_add(&journal->list, entry);
    r = journal_store(journal);
    step();
    if (r == 0 && is_there && link(path, ret_backup) < 0) r = -errno;
    if (r == 0 && is_there) r = folder_sync(path);
    if (r == 0) return 0;
    sl_tune_entries_cut(&journal->list, journal->list.count - 1);
    (void)journal_store(journal);
    return r;
}

/* `path`, from the root: the journal is read in another folder, too. */
static int path_whole(const char *path, char *buf)
{
    char dir[SL_TUNE_PATH_SIZE / 2] = "";
    if (path[0] != '/' && getcwd(dir, sizeof(dir)) == NULL) return -errno;
    int size = snprintf(buf, SL_TUNE_PATH_SIZE, "%s%s%s", dir, path[0] != '/' ? "/" : "", path);
    return size < 0 || size >= SL_TUNE_PATH_SIZE ? -ENAMETOOLONG : 0;
}

/* True if the file is there and its bytes are not the ones that we wrote. */
static bool file_is_edited(const struct sl_tune_entry *entry)
{
    struct stat info;
    if (stat(entry->path, &info) < 0 || !S_ISREG(info.st_mode)) return false;
    if (info.st_size > JOURNAL_SIZE_MAX) return true;
    int fd = open(entry->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return true;
    char *data = malloc((size_t)info.st_size + 1);
    sl_assert(data != NULL);
    ssize_t got = read(fd, data, (size_t)info.st_size + 1);
    (void)close(fd);
    uint64_t hash = got < 0 ? 0 : sl_tune_bytes_hash(data, (size_t)got);
    bool same = got == info.st_size && (hash == entry->hashes[0] || hash == entry->hashes[1]);
    free(data);
    return !same;
}

static bool is_same_file(const char *a, const char *b)
{
    struct stat x;
    struct stat y;
    return lstat(a, &x) == 0 && lstat(b, &y) == 0 && x.st_ino == y.st_ino && x.st_dev == y.st_dev;
}

/* What somebody changed after us gets a name of its own before the old file comes back. */
static int edited_keep(const struct sl_tune_entry *entry)
{
    char name[SL_TUNE_PATH_SIZE];
    if (!file_is_edited(entry)) return 0;
    int r = name_free(entry->path, ".edited.", name);
    if (r < 0) return r;
    step();
    return link(entry->path, name) < 0 ? -errno : 0;
}

static int file_revert(const struct sl_tune_entry *entry)
{
    struct stat info;
    bool had_one = strcmp(entry->old, "-") != 0;
    int r = 0;
    if (had_one && lstat(entry->old, &info) < 0) {
        /* It never went there, or is back already. */
        if (errno != ENOENT) return -errno;
    } else if (had_one && is_same_file(entry->path, entry->old)) {
        step(); /* it was not replaced yet: rename(2) would do nothing and leave both names */
        r = unlink(entry->old) < 0 ? -errno : 0;
    } else {
        r = edited_keep(entry);
        step();
        if (r == 0 && had_one && rename(entry->old, entry->path) < 0) r = -errno;
        if (r == 0 && !had_one && unlink(entry->path) < 0 && errno != ENOENT) r = -errno;
    }
    if (r < 0) return r;
    /* A half-written successor of a process that was killed. */
    char next[SL_TUNE_PATH_SIZE + sizeof(NEXT_SUFFIX)];
    (void)snprintf(next, sizeof(next), "%s%s", entry->path, NEXT_SUFFIX);
    if (unlink(next) < 0 && errno != ENOENT) return -errno;
    r = folder_sync(entry->path);
    return r == -ENOENT ? 0 : r; /* not even its folder was made */
}

/* Replace what is ours already; what somebody has changed in it meanwhile stays beside it. */
static int file_again(struct sl_tune_journal *journal, struct sl_tune_entry *entry, uint64_t hash)
{
    int r = edited_keep(entry);
    if (r < 0) return r;
    entry->hashes[1] = entry->hashes[0]; /* killed before it is replaced, it has the old bytes */
    entry->hashes[0] = hash;
    return journal_store(journal);
}

/* The newest entry, of a file that could not be written after all. */
static void last_drop(struct sl_tune_journal *journal)
{
    struct stat info;
    const struct sl_tune_entry *last = &journal->list.items[journal->list.count - 1];
    bool is_none = lstat(last->path, &info) < 0 && errno == ENOENT && strcmp(last->old, "-") == 0;
    if (file_revert(last) < 0 && !is_none) return; /* --revert tries again */
    sl_tune_entries_cut(&journal->list, journal->list.count - 1);
    (void)journal_store(journal);
}

int sl_tune_journal_write(struct sl_tune_journal *journal, const char *path, const char *text,
                          size_t size, char *ret_backup, struct sl_diag *reterr)
{
    char full[SL_TUNE_PATH_SIZE];
    sl_assert(journal != NULL);
    sl_assert(!journal->dry);
    ret_backup[0] = '\0';
    int r = path_whole(path, full);
    if (r == 0 && file_is(full, text, size)) return 0;
    if (r == 0) r = folders_keep(journal, full);
    struct sl_tune_entry *entry = r == 0 ? entry_find(journal, full, SL_TUNE_ENTRY_FILE) : NULL;
    uint64_t hash = sl_tune_bytes_hash(text, size);
    bool is_new = r == 0 && entry == NULL;
    if (entry != NULL) r = file_again(journal, entry, hash);
    if (is_new) r = file_keep(journal, full, hash, ret_backup);
    bool is_kept = is_new && r == 0;
    if (r == 0) r = file_replace(full, text, size);
    if (r < 0 && is_kept) last_drop(journal);
    return r < 0 ? failed(reterr, "cannot write", path, r) : 0;
}

/* A folder that is not empty is somebody's. */
static int folder_revert(const struct sl_tune_entry *entry)
{
    step();
    if (rmdir(entry->path) == 0 || errno == ENOENT || errno == ENOTEMPTY || errno == EEXIST)
        return 0;
    return -errno;
}

static int entry_revert(const struct sl_tune_journal *journal, const struct sl_tune_entry *entry)
{
    switch (entry->kind) {
    case SL_TUNE_ENTRY_VALUE: return value_revert(journal, entry);
    case SL_TUNE_ENTRY_FILE: return file_revert(entry);
    case SL_TUNE_ENTRY_FOLDER: return folder_revert(entry);
    default: sl_unreachable();
    }
}

/* ---- undoing --------------------------------------------------------------------------------- */

int sl_tune_journal_revert(struct sl_tune_journal *journal,
                           void (*told)(void *ctx, const char *path, int result), void *ctx)
{
    sl_assert(journal != NULL);
    sl_assert(!journal->dry);
    int result = 0;
    size_t kept = 0;
    struct sl_tune_entry *failures = calloc(journal->list.count + 1, sizeof(*failures));
    sl_assert(failures != NULL);
    while (journal->list.count > 0) {
        struct sl_tune_entry *entry = &journal->list.items[--journal->list.count];
        int r = entry_revert(journal, entry);
        if (told != NULL) told(ctx, entry->path, r);
        if (r < 0) {
            if (result == 0) result = r;
            failures[kept++] = *entry;
            continue;
        }
        free(entry->path);
        free(entry->old);
    }
    while (kept > 0) sl_tune_entries_add(&journal->list, failures[--kept]);
    free(failures);
    char next[SL_TUNE_PATH_SIZE + sizeof(NEXT_SUFFIX)];
    (void)snprintf(next, sizeof(next), "%s%s", journal->path, NEXT_SUFFIX);
    (void)unlink(next);
    int r = journal_store(journal);
    return result != 0 ? result : r;
}
