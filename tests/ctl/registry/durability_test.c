/* SPDX-License-Identifier: MIT */
/*
 * Durability, proven by what reaches the disk. This program defines write, pwrite, fdatasync and
 * their kin itself, so that LMDB calls these; they note every write to the data file, whether it
 * was synced, and when a change set was acknowledged. Then:
 *   - no acknowledgement stands before the sync of any write before it
 *   - no meta page is written before every data page of its transaction is synced
 *   - every prefix of the log, its last write torn at many places, and every prefix with one of
 *     its unsynced writes lost, opens at the last acknowledged revision (or the one in flight)
 * And with writes that fail: a full disk is a clear error, and nothing is damaged.
 */
#undef _FILE_OFFSET_BITS /* else "pwrite" below would be named pwrite64, which LMDB does not call */

#include "tests/ctl/registry/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    EVENTS_MAX = 20000,
    META_PAGES_SIZE = 2 * 4096,
    COMMITS = 24,
    BIG_SIZE = 9000, /* a document that needs overflow pages */
};

enum event_kind { EVENT_WRITE, EVENT_ACK };

struct event {
    enum event_kind kind;
    bool synced;
    uint64_t revision; /* EVENT_ACK */
    off_t off;
    size_t size;
    uint8_t *data; /* owned */
};

static struct {
    bool recording;
    bool early_meta; /* a meta page was written over unsynced data */
    ino_t ino;       /* of the data file */
    dev_t dev;
    int64_t budget; /* bytes that may still be written, or -1: no limit */
    bool sync_fails;
    size_t count;
    struct event events[EVENTS_MAX];
} tape = {.budget = -1};

static bool is_data_file(int fd)
{
    struct stat st;
    return tape.ino != 0 && fstat(fd, &st) == 0 && st.st_ino == tape.ino && st.st_dev == tape.dev;
}

static void mark_synced(void)
{
    for (size_t i = 0; i < tape.count; i++) tape.events[i].synced = true;
}

static bool all_synced(void)
{
    for (size_t i = 0; i < tape.count; i++) {
        if (tape.events[i].kind == EVENT_WRITE && !tape.events[i].synced) return false;
    }
    return true;
}

static void note_write(int fd, const void *data, size_t size, off_t off)
{
    if (!tape.recording || !is_data_file(fd)) return;
    if (off < META_PAGES_SIZE && !all_synced()) tape.early_meta = true;
    assert_true(tape.count < EVENTS_MAX);
    struct event *event = &tape.events[tape.count++];
    *event = (struct event){.kind = EVENT_WRITE, .off = off, .size = size, .data = malloc(size)};
    memcpy(event->data, data, size);
    event->synced = (fcntl(fd, F_GETFL) & O_DSYNC) != 0;
}

/* How much of a write the disk has room for. */
static size_t allowed(int fd, size_t size)
{
    if (tape.budget < 0 || !is_data_file(fd)) return size;
    if ((uint64_t)tape.budget < size) size = (size_t)tape.budget;
    tape.budget -= (int64_t)size;
    return size;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t off)
{
    size_t room = allowed(fd, size);
    if (room == 0 && size > 0) {
        errno = ENOSPC;
        return -1;
    }
    ssize_t r = syscall(SYS_pwrite64, fd, data, room, off);
    if (r > 0) note_write(fd, data, (size_t)r, off);
    return r;
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t off)
{
    return pwrite(fd, data, size, off);
}

ssize_t write(int fd, const void *data, size_t size)
{
    off_t off = tape.recording ? lseek(fd, 0, SEEK_CUR) : 0;
    size_t room = allowed(fd, size);
    if (room == 0 && size > 0) {
        errno = ENOSPC;
        return -1;
    }
    ssize_t r = syscall(SYS_write, fd, data, room);
    if (r > 0) note_write(fd, data, (size_t)r, off);
    return r;
}

/* LMDB writes runs of pages with lseek and writev: piece by piece, a torn one in the middle too. */
ssize_t writev(int fd, const struct iovec *parts, int count)
{
    ssize_t total = 0;
    for (int i = 0; i < count; i++) {
        ssize_t r = write(fd, parts[i].iov_base, parts[i].iov_len);
        if (r < 0) return total > 0 ? total : r;
        total += r;
        if ((size_t)r < parts[i].iov_len) break;
    }
    return total;
}

static int sync_with(long call, int fd)
{
    if (tape.sync_fails && is_data_file(fd)) {
        errno = EIO;
        return -1;
    }
    int r = (int)syscall(call, fd);
    if (r == 0 && tape.recording && is_data_file(fd)) mark_synced();
    return r;
}

int fdatasync(int fd)
{
    return sync_with(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    return sync_with(SYS_fsync, fd);
}

/* The store must never write through the map. */
int msync(void *addr, size_t size, int flags)
{
    if (tape.recording) fail_msg("msync was called");
    return (int)syscall(SYS_msync, addr, size, flags);
}

int ftruncate(int fd, off_t size)
{
    if (tape.recording && is_data_file(fd)) fail_msg("the data file was truncated");
    return (int)syscall(SYS_ftruncate, fd, size);
}

/* ------------------------------------------------------------------------------------------ */

struct image {
    uint8_t *data;
    size_t size;
    size_t cap;
};

static void image_put(struct image *image, const uint8_t *data, size_t size, size_t off)
{
    if (off + size > image->cap) {
        image->cap = (off + size) * 2;
        image->data = realloc(image->data, image->cap);
        assert_non_null(image->data);
    }
    if (off > image->size) memset(image->data + image->size, 0, off - image->size);
    memcpy(image->data + off, data, size);
    if (off + size > image->size) image->size = off + size;
}

static void image_load(struct image *image, const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    uint8_t *bytes = malloc((size_t)st.st_size);
    assert_int_equal(read(fd, bytes, (size_t)st.st_size), st.st_size);
    image_put(image, bytes, (size_t)st.st_size, 0);
    free(bytes);
    (void)close(fd);
}

static void data_path(const char *dir, char ret_path[96])
{
    (void)snprintf(ret_path, 96, "%s/data.mdb", dir);
}

static void image_store(const struct image *image, const char *dir)
{
    char path[96];
    data_path(dir, path);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(syscall(SYS_ftruncate, fd, 0), 0);
    assert_int_equal(syscall(SYS_write, fd, image->data, image->size), image->size);
    (void)close(fd);
}

static void tape_start(struct fixture *fixture)
{
    char path[96];
    struct stat st;
    data_path(fixture->dir, path);
    assert_int_equal(stat(path, &st), 0);
    tape.ino = st.st_ino;
    tape.dev = st.st_dev;
    tape.count = 0;
    tape.early_meta = false;
    tape.recording = true;
}

static void tape_stop(void)
{
    tape.recording = false;
    for (size_t i = 0; i < tape.count; i++) free(tape.events[i].data);
    tape.count = 0;
    tape.ino = 0;
    tape.budget = -1;
    tape.sync_fails = false;
}

static void tape_ack(uint64_t revision)
{
    assert_true(all_synced()); /* the heart of it: acknowledged means synced */
    tape.events[tape.count++] =
        (struct event){.kind = EVENT_ACK, .synced = true, .revision = revision};
}

/* Revision n: spec "a" has code n; some revisions delete, add, grow and seal beside it. */
static int commit_number(struct sl_registry *registry, uint64_t number)
{
    char code[32];
    char name[32];
    char big[BIG_SIZE];
    memset(big, 'a' + (int)(number % 26), sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    (void)snprintf(code, sizeof(code), "%llu", (unsigned long long)number);
    (void)snprintf(name, sizeof(name), "big-%llu", (unsigned long long)number);
    struct sl_value docs[3] = {
        doc("kind", "k", "name", "a", "code", code, NULL),
        doc("kind", "k", "name", name, "code", big, NULL),
        doc("name", "token", "data", code, NULL),
    };
    (void)snprintf(name, sizeof(name), "big-%llu", (unsigned long long)number - 2);
    struct sl_change changes[4] = {
        {.op = SL_CHANGE_APPLY, .type = SL_OBJECT_SPEC, .document = docs[0]},
        {.op = SL_CHANGE_APPLY, .type = SL_OBJECT_SPEC, .document = docs[1]},
        {.op = SL_CHANGE_APPLY, .type = SL_OBJECT_SECRET, .document = docs[2]},
        {.op = SL_CHANGE_DELETE, .type = SL_OBJECT_SPEC, .name = name, .missing_ok = true},
    };
    struct sl_change_set set = {.changes = changes, .count = 4, .if_revision = SL_REVISION_ANY};
    struct sl_commit commit;
    int r = sl_registry_apply(registry, &set, &commit, NULL);
    for (int i = 0; i < 3; i++) sl_value_unref(docs[i]);
    if (r == 0) assert_int_equal(commit.revision, number);
    sl_commit_fini(&commit);
    return r;
}

/* The copy in `dir` opens at a revision from `low` to `high` and shows that one's state whole. */
static void assert_opens_between(struct fixture *fixture, const char *dir, uint64_t low,
                                 uint64_t high)
{
    struct sl_registry *copy;
    struct sl_diag diag = {0};
    int r = sl_registry_open(dir, &fixture->opts, &copy, &diag);
    if (r != 0) (void)fprintf(stderr, "%s\n", diag.text);
    assert_int_equal(r, 0);
    uint64_t revision = newest(copy);
    assert_true(revision >= low);
    assert_true(revision <= high);
    if (revision > 0) {
        char code[32];
        (void)snprintf(code, sizeof(code), "%llu", (unsigned long long)revision);
        assert_code(copy, "a", SL_REVISION_NEWEST, code);
        struct sl_objects objects;
        assert_int_equal(
            sl_registry_snapshot(copy, SL_OBJECT_SPEC, NULL, SL_REVISION_NEWEST, &objects, NULL),
            0);
        assert_int_equal(objects.count, revision < 2 ? 2 : 3);
        sl_objects_fini(&objects);
        struct sl_history history;
        assert_int_equal(sl_registry_history(copy, NULL, SL_REVISION_NEWEST, 1000, &history), 0);
        assert_int_equal(history.count, revision);
        sl_history_fini(&history);
    }
    copy = sl_registry_close(copy);
}

/* `image` plus the first `size` bytes of a write: what a crash may leave of it. */
static void check_torn(struct fixture *fixture, const char *dir, const struct image *image,
                       const struct event *event, size_t size, uint64_t acked)
{
    struct image torn = {0};
    image_put(&torn, image->data, image->size, 0);
    image_put(&torn, event->data, size, (size_t)event->off);
    image_store(&torn, dir);
    assert_opens_between(fixture, dir, acked, acked + 1);
    free(torn.data);
}

static void check_all_tears(struct fixture *fixture, const char *dir, const struct image *image,
                            const struct event *event, uint64_t acked)
{
    size_t size = event->size;
    if (event->off < META_PAGES_SIZE) { /* a meta page: at every byte */
        for (size_t cut = 0; cut <= size; cut++) {
            check_torn(fixture, dir, image, event, cut, acked);
        }
        return;
    }
    const size_t cuts[] = {1, 16, 512, size / 2, size - 1, size};
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        if (cuts[i] <= size) check_torn(fixture, dir, image, event, cuts[i], acked);
    }
}

/* The state just before event `end`, with unsynced write `lost` missing. */
static void check_lost(struct fixture *fixture, const char *dir, const struct image *base,
                       size_t end, size_t lost, uint64_t acked)
{
    struct image image = {0};
    image_put(&image, base->data, base->size, 0);
    for (size_t i = 0; i < end; i++) {
        const struct event *event = &tape.events[i];
        if (event->kind != EVENT_WRITE || i == lost) continue;
        image_put(&image, event->data, event->size, (size_t)event->off);
    }
    image_store(&image, dir);
    assert_opens_between(fixture, dir, acked, acked + 1);
    free(image.data);
}

/* Writes since the last meta page were not synced yet when the next meta page was not written. */
static void check_all_losses(struct fixture *fixture, const char *dir, const struct image *base,
                             size_t end, uint64_t acked)
{
    for (size_t i = end; i > 0; i--) {
        const struct event *event = &tape.events[i - 1];
        if (event->kind == EVENT_ACK || event->off < META_PAGES_SIZE) break;
        check_lost(fixture, dir, base, end, i - 1, acked);
    }
}

static void log_replayed_everyPrefixOpensAtTheAcknowledgedRevision(void **state)
{
    struct fixture *fixture = *state;
    char copy_dir[96];
    char path[96];
    struct image base = {0};
    (void)snprintf(copy_dir, sizeof(copy_dir), "%s/copy", fixture->dir);
    data_path(fixture->dir, path);
    assert_int_equal(mkdir(copy_dir, 0700), 0);
    image_load(&base, path);
    tape_start(fixture);
    for (uint64_t number = 1; number <= COMMITS; number++) {
        assert_int_equal(commit_number(fixture->registry, number), 0);
        tape_ack(number);
    }
    tape.recording = false;
    assert_false(tape.early_meta);
    size_t writes = 0;
    uint64_t acked = 0;
    struct image image = {0};
    image_put(&image, base.data, base.size, 0);
    for (size_t i = 0; i < tape.count; i++) {
        const struct event *event = &tape.events[i];
        if (event->kind == EVENT_ACK) {
            acked = event->revision;
            continue;
        }
        writes++;
        check_all_tears(fixture, copy_dir, &image, event, acked);
        if (event->off < META_PAGES_SIZE) check_all_losses(fixture, copy_dir, &base, i, acked);
        image_put(&image, event->data, event->size, (size_t)event->off);
    }
    assert_true(writes >= 3 * COMMITS); /* pages and a meta page for each */
    image_store(&image, copy_dir);
    assert_opens_between(fixture, copy_dir, COMMITS, COMMITS);
    free(image.data);
    free(base.data);
    tape_stop();
}

static void apply_onFullDisk_isClearAndHarmless(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(commit_number(fixture->registry, 1), 0);
    tape_start(fixture);
    int refused = 0;
    for (int64_t budget = 0; budget < 60000; budget += 1777) {
        tape.budget = budget;
        int r = commit_number(fixture->registry, 2);
        tape.budget = -1;
        if (r == 0) break;
        refused++;
        assert_true(r == -ENOSPC || r == -EIO); /* EIO: LMDB's word for a short write */
        assert_int_equal(newest(fixture->registry), 1);
        assert_code(fixture->registry, "a", SL_REVISION_NEWEST, "1");
    }
    assert_true(refused > 3);
    tape_stop();
    struct sl_diags diags = {0};
    tape_start(fixture);
    tape.budget = 0;
    uint64_t before = newest(fixture->registry);
    struct sl_change change = {
        .op = SL_CHANGE_APPLY, .type = SL_OBJECT_SPEC, .document = doc("kind", "k", NULL)};
    assert_int_equal(change_one(fixture->registry, change, NULL, &diags), -ENOSPC);
    assert_non_null(strstr(diags.items[0].text, fixture->dir));
    assert_non_null(strstr(diags.items[0].hint, "disk is full"));
    sl_diags_fini(&diags);
    tape_stop();
    assert_int_equal(newest(fixture->registry), before);
    (void)put_spec(fixture->registry, "default", "after", "1");
    assert_int_equal(newest(fixture->registry), before + 1);
}

static void apply_whenSyncFails_isNotAcknowledged(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(commit_number(fixture->registry, 1), 0);
    tape_start(fixture);
    tape.sync_fails = true;
    assert_int_equal(commit_number(fixture->registry, 2), -EIO);
    tape_stop();
    assert_int_equal(newest(fixture->registry), 1);
    assert_int_equal(commit_number(fixture->registry, 2), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(log_replayed_everyPrefixOpensAtTheAcknowledgedRevision,
                                        setup_lmdb, teardown),
        cmocka_unit_test_setup_teardown(apply_onFullDisk_isClearAndHarmless, setup_lmdb, teardown),
        cmocka_unit_test_setup_teardown(apply_whenSyncFails_isNotAcknowledged, setup_lmdb,
                                        teardown),
    };
    return cmocka_run_group_tests_name("durability", tests, NULL, NULL);
}
