/* SPDX-License-Identifier: MIT */
/* Both backends of io/kv against one behaviour, and what only LMDB can get wrong. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/clock.h"
#include "io/kv/kv.h"

struct fixture {
    char dir[64];
    struct sl_kv *kv;
};

static void dir_remove(const char *dir)
{
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
}

static int setup_dir(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    (void)snprintf(fixture->dir, sizeof(fixture->dir), "/tmp/sl-kv-XXXXXX");
    assert_non_null(mkdtemp(fixture->dir));
    *state = fixture;
    return 0;
}

static int setup_lmdb(void **state)
{
    (void)setup_dir(state);
    struct fixture *fixture = *state;
    return sl_kv_open(fixture->dir, NULL, &fixture->kv, NULL);
}

static int setup_memory(void **state)
{
    (void)setup_dir(state);
    struct fixture *fixture = *state;
    return sl_kv_open_memory(&fixture->kv);
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    fixture->kv = sl_kv_close(fixture->kv);
    dir_remove(fixture->dir);
    free(fixture);
    return 0;
}

static struct sl_slice text(const char *str)
{
    return sl_slice_from_str(str);
}

/* A write transaction of up to eight puts (value != NULL) and deletes, with its own result. */
struct step {
    const char *key;
    const char *value;
};
struct script {
    struct step steps[8];
    int result;
};

static int script_write(struct sl_kv_txn *txn, void *ctx)
{
    struct script *script = ctx;
    for (struct step *step = script->steps; step->key != NULL; step++) {
        int r = step->value != NULL ? sl_kv_put(txn, text(step->key), text(step->value))
                                    : sl_kv_delete(txn, text(step->key));
        if (r != 0) return r;
    }
    return script->result;
}

static void assert_value(struct sl_kv *kv, const char *key, const char *expected)
{
    struct sl_kv_txn *txn;
    struct sl_slice value;
    assert_int_equal(sl_kv_read_begin(kv, &txn), 0);
    int r = sl_kv_get(txn, text(key), &value);
    assert_int_equal(r, expected == NULL ? SL_KV_NOT_FOUND : 0);
    if (expected != NULL) assert_true(sl_slice_eq_str(value, expected));
    (void)sl_kv_read_end(txn);
}

static void write_committed_isRead(void **state)
{
    struct sl_kv *kv = ((struct fixture *)*state)->kv;
    struct script script = {.steps = {{"a", "1"}, {"b", ""}, {"c", "3"}, {"a", "4"}, {"c", NULL}}};
    assert_int_equal(sl_kv_write(kv, script_write, &script), 0);
    assert_value(kv, "a", "4");
    assert_value(kv, "b", "");
    assert_value(kv, "c", NULL);
}

static void write_returningOutcome_leavesNothing(void **state)
{
    struct sl_kv *kv = ((struct fixture *)*state)->kv;
    struct script script = {.steps = {{"a", "1"}}, .result = 7};
    assert_int_equal(sl_kv_write(kv, script_write, &script), 7);
    assert_value(kv, "a", NULL);
    struct script missing = {.steps = {{"a", "1"}, {"b", NULL}}};
    assert_int_equal(sl_kv_write(kv, script_write, &missing), SL_KV_NOT_FOUND);
    assert_value(kv, "a", NULL);
}

static int write_long_key(struct sl_kv_txn *txn, void *ctx)
{
    uint8_t key[SL_KV_KEY_SIZE_MAX + 1] = {1};
    assert_int_equal(sl_kv_put(txn, sl_slice_make(key, SL_KV_KEY_SIZE_MAX), text("x")), 0);
    return sl_kv_put(txn, sl_slice_make(key, sizeof(key)), text("x"));
}

static void put_keyTooLong_isRefused(void **state)
{
    struct sl_kv *kv = ((struct fixture *)*state)->kv;
    assert_int_equal(sl_kv_write(kv, write_long_key, NULL), -E2BIG);
}

static void read_begunBeforeWrite_keepsItsSnapshot(void **state)
{
    struct sl_kv *kv = ((struct fixture *)*state)->kv;
    struct script one = {.steps = {{"a", "1"}, {"b", "1"}}};
    struct script two = {.steps = {{"a", "2"}, {"b", NULL}}};
    assert_int_equal(sl_kv_write(kv, script_write, &one), 0);
    struct sl_kv_txn *txn;
    assert_int_equal(sl_kv_read_begin(kv, &txn), 0);
    assert_int_equal(sl_kv_write(kv, script_write, &two), 0);
    struct sl_slice value;
    assert_int_equal(sl_kv_get(txn, text("a"), &value), 0);
    assert_true(sl_slice_eq_str(value, "1"));
    assert_int_equal(sl_kv_get(txn, text("b"), &value), 0);
    (void)sl_kv_read_end(txn);
    assert_value(kv, "a", "2");
    assert_value(kv, "b", NULL);
}

/* ------------------------------------------------------------------------------------------ */
/* Random operations against a plain array.                                                     */

enum { MODEL_KEYS = 700, MODEL_ROUNDS = 60 };

struct model {
    uint32_t values[MODEL_KEYS]; /* 0: absent */
    uint64_t seed;
};

static uint32_t next(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33);
}

static size_t model_key(uint32_t index, char key[16])
{
    return (size_t)snprintf(key, 16, "k%05u", index);
}

static int model_write(struct sl_kv_txn *txn, void *ctx)
{
    struct model *model = ctx;
    for (int i = 0; i < 100; i++) {
        uint32_t index = next(&model->seed) % MODEL_KEYS;
        uint32_t value = next(&model->seed) % 4 == 0 ? 0 : next(&model->seed) | 1;
        char key[16];
        struct sl_slice k = sl_slice_make(key, model_key(index, key));
        int r = value != 0 ? sl_kv_put(txn, k, sl_slice_make(&value, sizeof(value)))
                           : sl_kv_delete(txn, k);
        if (value == 0 && model->values[index] == 0)
            assert_int_equal(r, SL_KV_NOT_FOUND);
        else
            assert_int_equal(r, 0);
        model->values[index] = value;
    }
    return 0;
}

static void model_compare(struct sl_kv *kv, const struct model *model)
{
    struct sl_kv_txn *txn;
    assert_int_equal(sl_kv_read_begin(kv, &txn), 0);
    struct sl_kv_pair pair;
    char at[20] = "a";
    size_t at_size = 1;
    for (uint32_t i = 0; i < MODEL_KEYS; i++) {
        if (model->values[i] == 0) continue;
        char key[16];
        size_t size = model_key(i, key);
        assert_int_equal(sl_kv_seek(txn, sl_slice_make(at, at_size), &pair), 0);
        assert_true(sl_slice_eq(pair.key, sl_slice_make(key, size)));
        assert_int_equal(pair.value.size, 4);
        assert_memory_equal(pair.value.data, &model->values[i], 4);
        memcpy(at, key, size);
        at[size] = '\0';
        at_size = size + 1;
    }
    assert_int_equal(sl_kv_seek(txn, sl_slice_make(at, at_size), &pair), SL_KV_NOT_FOUND);
    (void)sl_kv_read_end(txn);
}

static void write_randomOperations_matchesModel(void **state)
{
    struct sl_kv *kv = ((struct fixture *)*state)->kv;
    struct model *model = calloc(1, sizeof(*model));
    model->seed = 42;
    for (int round = 0; round < MODEL_ROUNDS; round++) {
        assert_int_equal(sl_kv_write(kv, model_write, model), 0);
        model_compare(kv, model);
    }
    free(model);
}

/* ------------------------------------------------------------------------------------------ */
/* Threads: readers see whole transactions (a and b are always equal).                          */

struct race {
    struct sl_kv *kv;
    _Atomic bool stop;
    _Atomic int torn;
};

static int race_write(struct sl_kv_txn *txn, void *ctx)
{
    struct sl_slice value = sl_slice_make(ctx, sizeof(uint32_t));
    int r = sl_kv_put(txn, text("a"), value);
    return r != 0 ? r : sl_kv_put(txn, text("b"), value);
}

static void *race_read(void *arg)
{
    struct race *race = arg;
    while (!race->stop) {
        struct sl_kv_txn *txn;
        struct sl_slice a;
        struct sl_slice b;
        if (sl_kv_read_begin(race->kv, &txn) != 0) continue;
        if (sl_kv_get(txn, text("a"), &a) == 0 && sl_kv_get(txn, text("b"), &b) == 0) {
            if (!sl_slice_eq(a, b)) race->torn++;
        }
        (void)sl_kv_read_end(txn);
    }
    return NULL;
}

static void read_besideWriter_neverSeesHalf(void **state)
{
    struct race race = {.kv = ((struct fixture *)*state)->kv};
    pthread_t readers[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&readers[i], NULL, race_read, &race), 0);
    }
    for (uint32_t i = 0; i < 300; i++) {
        assert_int_equal(sl_kv_write(race.kv, race_write, &i), 0);
    }
    race.stop = true;
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_join(readers[i], NULL), 0);
    assert_int_equal(race.torn, 0);
}

/* ------------------------------------------------------------------------------------------ */
/* LMDB only.                                                                                   */

static void open_newDirectory_isPrivate(void **state)
{
    struct fixture *fixture = *state;
    char dir[96];
    (void)snprintf(dir, sizeof(dir), "%s/new", fixture->dir);
    assert_int_equal(sl_kv_open(dir, NULL, &fixture->kv, NULL), 0);
    struct stat st;
    assert_int_equal(stat(dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    const char *const files[] = {"data.mdb", "lock.mdb", "open.lock"};
    for (size_t i = 0; i < 3; i++) {
        char path[128];
        (void)snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
}

static void open_directoryOthersMayWrite_isRefused(void **state)
{
    struct fixture *fixture = *state;
    struct sl_diag diag = {0};
    assert_int_equal(chmod(fixture->dir, 0777), 0);
    assert_int_equal(sl_kv_open(fixture->dir, NULL, &fixture->kv, &diag), -EACCES);
    assert_non_null(strstr(diag.text, fixture->dir));
    assert_non_null(strstr(diag.hint, "chmod 700"));
}

static void open_foreignFile_isBadMessage(void **state)
{
    struct fixture *fixture = *state;
    char path[96];
    (void)snprintf(path, sizeof(path), "%s/data.mdb", fixture->dir);
    FILE *file = fopen(path, "w");
    for (int i = 0; i < 4096; i++) (void)fputs("no lmdb.", file);
    (void)fclose(file);
    struct sl_diag diag = {0};
    assert_int_equal(sl_kv_open(fixture->dir, NULL, &fixture->kv, &diag), -EBADMSG);
    assert_non_null(strstr(diag.text, "data.mdb"));
}

static void open_twice_sharesTheStore(void **state)
{
    struct fixture *fixture = *state;
    struct sl_kv *again;
    assert_int_equal(sl_kv_open(fixture->dir, NULL, &again, NULL), 0);
    assert_ptr_equal(again, fixture->kv);
    again = sl_kv_close(again);
    struct script script = {.steps = {{"a", "1"}}};
    assert_int_equal(sl_kv_write(fixture->kv, script_write, &script), 0);
    fixture->kv = sl_kv_close(fixture->kv);
    assert_int_equal(sl_kv_open(fixture->dir, NULL, &fixture->kv, NULL), 0);
    assert_value(fixture->kv, "a", "1");
}

/* `count` values of 64 KiB. */
static int write_bulk(struct sl_kv_txn *txn, void *ctx)
{
    static uint8_t bulk[65536];
    for (uint32_t i = 0; i < *(uint32_t *)ctx; i++) {
        int r = sl_kv_put(txn, sl_slice_make(&i, sizeof(i)), sl_slice_make(bulk, sizeof(bulk)));
        if (r != 0) return r;
    }
    return 0;
}

static void write_beyondTheMap_growsIt(void **state)
{
    struct fixture *fixture = *state;
    struct sl_kv_opts opts = {.map_size = 1 << 20};
    assert_int_equal(sl_kv_open(fixture->dir, &opts, &fixture->kv, NULL), 0);
    uint32_t count = 100; /* 6.4 MB through a map of 1 MiB */
    assert_int_equal(sl_kv_write(fixture->kv, write_bulk, &count), 0);
    struct sl_kv_stats stats;
    assert_int_equal(sl_kv_stats_get(fixture->kv, &stats), 0);
    assert_true(stats.grown_count >= 3);
    assert_true(stats.map_size >= 8 << 20);
    assert_true(stats.file_size >= 100 * 65536);
}

/* Run `child` in a process of its own; it returns its exit code. */
static pid_t spawn(int (*child)(void *ctx), void *ctx)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) _exit(child(ctx));
    return pid;
}

static void join(pid_t pid, int expected)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, expected);
}

static int child_fill(void *ctx)
{
    struct sl_kv_opts opts = {.map_size = 64 << 20};
    struct sl_kv *kv;
    if (sl_kv_open(ctx, &opts, &kv, NULL) != 0) return 1;
    uint32_t count = 200;
    if (sl_kv_write(kv, write_bulk, &count) != 0) return 2;
    (void)sl_kv_close(kv);
    return 0;
}

static void read_afterOtherProcessGrew_adoptsItsMap(void **state)
{
    struct fixture *fixture = *state;
    struct sl_kv_opts opts = {.map_size = 1 << 20};
    assert_int_equal(sl_kv_open(fixture->dir, &opts, &fixture->kv, NULL), 0);
    join(spawn(child_fill, fixture->dir), 0);
    struct sl_kv_txn *txn;
    struct sl_slice value;
    assert_int_equal(sl_kv_read_begin(fixture->kv, &txn), 0);
    uint32_t last = 199;
    assert_int_equal(sl_kv_get(txn, sl_slice_make(&last, sizeof(last)), &value), 0);
    assert_int_equal(value.size, 65536);
    (void)sl_kv_read_end(txn);
}

struct reader_child {
    const char *dir;
    int ready;
};

static int child_read_for_ever(void *ctx)
{
    struct reader_child *child = ctx;
    struct sl_kv *kv;
    struct sl_kv_txn *txn;
    if (sl_kv_open(child->dir, NULL, &kv, NULL) != 0) return 1;
    if (sl_kv_read_begin(kv, &txn) != 0) return 2;
    if (write(child->ready, "r", 1) != 1) return 3;
    for (;;) (void)pause();
}

static uint64_t churn(struct sl_kv *kv, int rounds)
{
    struct sl_kv_stats stats;
    uint32_t count = 4;
    for (int i = 0; i < rounds; i++) assert_int_equal(sl_kv_write(kv, write_bulk, &count), 0);
    assert_int_equal(sl_kv_stats_get(kv, &stats), 0);
    return stats.file_size;
}

static void readersCheck_afterKilledReader_letsPagesBeReused(void **state)
{
    struct fixture *fixture = *state;
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    struct reader_child child = {fixture->dir, ready[1]};
    pid_t pid = spawn(child_read_for_ever, &child);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(sl_kv_open(fixture->dir, NULL, &fixture->kv, NULL), 0);
    uint64_t before = churn(fixture->kv, 10);
    uint64_t held = churn(fixture->kv, 20);
    assert_true(held > before + 15 * 4 * 65536); /* the reader holds every old page */
    assert_int_equal(kill(pid, SIGKILL), 0);
    join(pid, SIGKILL);
    assert_int_equal(sl_kv_readers_check(fixture->kv), 0);
    struct sl_kv_stats stats;
    assert_int_equal(sl_kv_stats_get(fixture->kv, &stats), 0);
    assert_int_equal(stats.cleared_count, 1);
    uint64_t freed = churn(fixture->kv, 5);
    assert_int_equal(churn(fixture->kv, 20), freed);
    (void)close(ready[0]);
    (void)close(ready[1]);
}

static int child_open_write(void *ctx)
{
    struct sl_kv *kv;
    char key[32];
    if (sl_kv_open(ctx, NULL, &kv, NULL) != 0) return 1;
    (void)snprintf(key, sizeof(key), "pid-%d", (int)getpid());
    struct script script = {.steps = {{key, "1"}}};
    if (sl_kv_write(kv, script_write, &script) != 0) return 2;
    (void)sl_kv_close(kv);
    return 0;
}

static void open_bySixProcessesAtOnce_losesNothing(void **state)
{
    struct fixture *fixture = *state;
    pid_t pids[6];
    for (int i = 0; i < 6; i++) pids[i] = spawn(child_open_write, fixture->dir);
    for (int i = 0; i < 6; i++) join(pids[i], 0);
    assert_int_equal(sl_kv_open(fixture->dir, NULL, &fixture->kv, NULL), 0);
    for (int i = 0; i < 6; i++) {
        char key[32];
        (void)snprintf(key, sizeof(key), "pid-%d", (int)pids[i]);
        assert_value(fixture->kv, key, "1");
    }
}

#define BOTH(test)                                                                                 \
    cmocka_unit_test_setup_teardown(test, setup_lmdb, teardown),                                   \
        cmocka_unit_test_setup_teardown(test, setup_memory, teardown)
#define LMDB(test) cmocka_unit_test_setup_teardown(test, setup_dir, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(write_committed_isRead),
        BOTH(write_returningOutcome_leavesNothing),
        BOTH(put_keyTooLong_isRefused),
        BOTH(read_begunBeforeWrite_keepsItsSnapshot),
        BOTH(write_randomOperations_matchesModel),
        BOTH(read_besideWriter_neverSeesHalf),
        LMDB(open_newDirectory_isPrivate),
        LMDB(open_directoryOthersMayWrite_isRefused),
        LMDB(open_foreignFile_isBadMessage),
        cmocka_unit_test_setup_teardown(open_twice_sharesTheStore, setup_lmdb, teardown),
        LMDB(write_beyondTheMap_growsIt),
        LMDB(read_afterOtherProcessGrew_adoptsItsMap),
        LMDB(readersCheck_afterKilledReader_letsPagesBeReused),
        LMDB(open_bySixProcessesAtOnce_losesNothing),
    };
    return cmocka_run_group_tests_name("kv", tests, NULL, NULL);
}
