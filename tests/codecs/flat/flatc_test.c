/* SPDX-License-Identifier: MIT */
/*
 * Our bytes against flatc, the reference implementation: it reads what we seal with our schema,
 * and what it writes again from that opens to the same bits.
 *
 *     flatc_test FLATC SCHEMA     exits 77 without them
 *
 * flatc crashes on damaged buffers, so it gets valid ones only; its JSON knows no 64-bit floats in
 * our cells (a word is an integer), so every bit pattern survives.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "tests/codecs/flat/sample.h"

enum { SAMPLES_COUNT = 25, BATCH_SIZE_MAX = 16 * 1024 * 1024 };

static void run(const char *const *argv)
{
    pid_t pid = fork();
    sl_assert(pid >= 0);
    if (pid == 0) {
        execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    int status = 0;
    pid_t done = waitpid(pid, &status, 0);
    sl_assert(done == pid);
    if (status != 0) {
        fprintf(stderr, "%s failed with status %d\n", argv[0], status);
        exit(1);
    }
}

static void file_write(const char *path, const uint8_t *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    sl_assert(file != NULL);
    size_t written = fwrite(data, 1, size, file);
    sl_assert(written == size);
    (void)fclose(file);
}

static uint8_t *file_read(const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "rb");
    sl_assert(file != NULL);
    uint8_t *data = malloc(BATCH_SIZE_MAX);
    sl_assert(data != NULL);
    *ret_size = fread(data, 1, BATCH_SIZE_MAX, file);
    (void)fclose(file);
    return data;
}

static void check_sample(const char *flatc, const char *schema, uint64_t seed)
{
    const struct sl_flat_envelope envelope = {seed + 1, 2, 3, 4};
    struct sl_value value = sample_make(NULL, seed), opened;
    uint8_t *sealed, *again;
    size_t size, foreign_size, again_size;
    int result = sl_flat_seal_dup(value, &envelope, &sealed, &size);
    sl_assert(result == 0);
    sl_value_unref(value);
    file_write("packet.bin", sealed, size);
    run((const char *[]){flatc, "--json", "--raw-binary", "--strict-json", "--defaults-json",
                         schema, "--", "packet.bin", NULL});
    result = unlink("packet.bin");
    sl_assert(result == 0);
    run((const char *[]){flatc, "--binary", schema, "packet.json", NULL});
    uint8_t *foreign = file_read("packet.bin", &foreign_size);
    struct sl_diag diag = {0};
    struct sl_flat_envelope back;
    if (sl_flat_verify(foreign, foreign_size, &diag) != 0) {
        fprintf(stderr, "seed %u: %s\n", (unsigned)seed, diag.text);
        exit(1);
    }
    result = sl_flat_open(foreign, foreign_size, NULL, &back, &opened);
    sl_assert(result == 0);
    result = sl_flat_seal_dup(opened, &back, &again, &again_size);
    sl_assert(result == 0);
    sl_assert(again_size == size);
    sl_assert(memcmp(again, sealed, size) == 0);
    sl_value_unref(opened);
    free(foreign);
    free(again);
    free(sealed);
}

int main(int argc, char **argv)
{
    if (argc < 3 || access(argv[1], X_OK) != 0) {
        puts("skipped: no flatc");
        return 77;
    }
    char dir[] = "/tmp/sluice-flatc-XXXXXX";
    char *made = mkdtemp(dir);
    sl_assert(made != NULL);
    int result = chdir(dir);
    sl_assert(result == 0);
    for (uint64_t seed = 0; seed < SAMPLES_COUNT; seed++) check_sample(argv[1], argv[2], seed);
    (void)unlink("packet.bin");
    (void)unlink("packet.json");
    (void)rmdir(dir);
    printf("%d samples through flatc and back\n", SAMPLES_COUNT);
    return 0;
}
