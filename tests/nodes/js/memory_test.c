/* SPDX-License-Identifier: MIT */
/*
 * Memory over many different scripts, each compiled, attached, run, and gone again, as swaps do it:
 * what a script leaves behind has a bound. SLUICE_LONG=1 runs 30,000 instead of 12,000.
 *
 * The compiler would take most of the time, so its cache is filled from the one text that it did
 * compile: the scripts differ in one number of eight digits.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/hash.h"
#include "nodes/script/js/js.h"
#include "tests/nodes/js/fixture.h"

enum {
    SCRIPTS = 12000,
    SCRIPTS_LONG = 30000,
    WARM_PARTS = 2,   /* the first half fills caches, and garbage until the collector's pace */
    SLOPE_MAX = 2048, /* bytes that one script may leave behind */
    FLOOR = 6 * 1024 * 1024, /* of growth that says nothing: pages come and go */
    CALLS = 5,
    SETTLE_ROUNDS = 500,
    ENTRY_SIZE_MAX = 65536,
};

static const char mark[] = "00000000";
static const char template[] =
    "const limits = {max: 10, name: 't00000000'};\n"
    "function helper(a) {\n"
    "  return {n: (a?.count ?? 0) + 1, t: 't00000000', list: [1, 2, 3].map((x) => x * 2)};\n"
    "}\n"
    "export default (self) => {\n"
    "  const r = helper(self);\n"
    "  if (r.n > limits.max) throw new Error('too many t00000000');\n"
    "  return r;\n"
    "}\n";

static char folder[] = "/tmp/sluice-js-memory-XXXXXX";
static char entry[ENTRY_SIZE_MAX]; /* of the cache, for the template */
static size_t entry_size;

static uint64_t rss_bytes(void)
{
    unsigned long long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%llu %llu", &size, &resident), 2);
    (void)fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void number_put(char *text, size_t size, int number)
{
    char digits[16];
    (void)snprintf(digits, sizeof(digits), "%08d", number);
    for (char *at = text; (at = memmem(at, size - (size_t)(at - text), mark, 8)) != NULL; at += 8) {
        memcpy(at, digits, 8);
    }
}

/* The first file of the cache's folder into `entry`. */
static void entry_read(void)
{
    char path[512] = "";
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *item; (item = readdir(dir)) != NULL;) {
        if (item->d_name[0] != '.') {
            (void)snprintf(path, sizeof(path), "%s/%.255s", folder, item->d_name);
        }
    }
    (void)closedir(dir);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    entry_size = fread(entry, 1, sizeof(entry), file);
    (void)fclose(file);
    (void)unlink(path);
    assert_in_range(entry_size, 100, sizeof(entry) - 1);
}

/* Put the compiled form of script `number` where the engine looks for it. */
static void entry_write(const char *code, int number, char *path, size_t path_size)
{
    static char copy[ENTRY_SIZE_MAX];
    char key[1024];
    int key_size = snprintf(key, sizeof(key), "js\n%s", code);
    (void)snprintf(path, path_size, "%s/js-%016llx", folder,
                   (unsigned long long)sl_hash64(key, (size_t)key_size));
    memcpy(copy, entry, entry_size);
    number_put(copy, entry_size, number);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(copy, 1, entry_size, file), entry_size);
    assert_int_equal(fclose(file), 0);
}

static void script_live_and_die(struct fixture *fixture, int number)
{
    char code[sizeof(template)], path[512], expected[128];
    memcpy(code, template, sizeof(template));
    number_put(code, sizeof(code), number);
    entry_write(code, number, path, sizeof(path));
    struct attached attached = fixture_attach(fixture, code);
    (void)unlink(path);
    if (attached.script == NULL) print_error("%s\n", fixture->diag.text);
    assert_non_null(attached.script);
    (void)snprintf(expected, sizeof(expected), "{\"n\": 1, \"t\": \"t%08d\", \"list\": [2, 4, 6]}",
                   number);
    for (int i = 0; i < CALLS; i++) {
        assert_string_equal(fixture_call_text(fixture, &attached, sl_value_null()), expected);
    }
    fixture_detach(fixture, &attached);
}

/*
 * Garbage is collected, and pages go back, beside the scripts, which takes its time on a busy machine:
 * let some more run until it has happened.
 */
static uint64_t rss_settle(struct fixture *fixture, int *number, uint64_t limit)
{
    for (int i = 0; i < SETTLE_ROUNDS && rss_bytes() > limit; i++) {
        script_live_and_die(fixture, ++*number);
        (void)usleep(20000);
    }
    return rss_bytes();
}

static void memory_over_many_scripts_is_flat(void **state)
{
    (void)state;
    static struct fixture fixture;
    const char *wish = getenv("SLUICE_LONG");
    int count = wish != NULL && strcmp(wish, "1") == 0 ? SCRIPTS_LONG : SCRIPTS;
    assert_non_null(mkdtemp(folder));
    sl_js_setup(NULL, folder);
    fixture_init(&fixture, &sl_engine_js);
    fixture.timeout_ms = 10000;
    struct attached first = fixture_attach(&fixture, template);
    assert_non_null(first.script);
    fixture_detach(&fixture, &first);
    entry_read();

    int warm = count / WARM_PARTS;
    for (int i = 1; i <= warm; i++) script_live_and_die(&fixture, i);
    uint64_t before = rss_bytes();
    for (int i = warm + 1; i <= count; i++) script_live_and_die(&fixture, i);
    uint64_t limit = before + FLOOR + (uint64_t)(count - warm) * SLOPE_MAX;
    int number = count;
    uint64_t after = rss_settle(&fixture, &number, limit);
    print_message("resident: %.1f MiB after %d scripts, %.1f after %d\n", (double)before / 1048576,
                  warm, (double)after / 1048576, number);
    assert_true(fixture_fini(&fixture));
    (void)rmdir(folder);
#ifndef __SANITIZE_ADDRESS__
    assert_true(after <= limit);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_over_many_scripts_is_flat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
