/* SPDX-License-Identifier: MIT */
/* One script run by several threads at once, each with its own instance: nothing of it is written. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codecs/json/json.h"
#include "core/mem/mem.h"
#include "tests/nodes/cel/fixture.h"

enum { THREADS = 4, RUNS = 300 };

static const char payload[] =
    "{\"a\":{\"b\":7},\"s\":\"some text\",\"list\":[3,1,2],\"t\":1700000000}";

static const char code[] =
    "self.list.sort() == [1, 2, 3] && self.s.matches('^[a-z ]+$') && self.a.b + env.n == 12 && "
    "timestamp(self.t).getHours('Europe/Berlin') == 23 && {'k': self.s}.k.upperAscii() == 'SOME "
    "TEXT' "
    "&& '%s %d'.format([self.list, self.a.b]) == '[3, 1, 2] 7' && self.s.matches('t' + 'e' + "
    "env.x)";

/* Runs the script; returns NULL if every run was true. */
static void *run_often(void *argument)
{
    struct sl_script *script = argument;
    void *shard = NULL;
    void *instance = NULL;
    struct sl_value self;
    uint32_t wrong = 0;
    struct sl_mem *mem = sl_mem_new((size_t)64 * 1024 * 1024);
    if (mem == NULL) return script;
    bool ready = sl_engine_cel.attach(script, &shard, &instance, NULL) == 0 &&
                 sl_json_parse(sl_slice_from_str(payload), NULL, mem, 0, &self, NULL) == 0;
    for (uint32_t i = 0; i < RUNS && ready; i++) {
        struct sl_script_call call = {.input = self, .mem = mem, .deadline_ns = UINT64_MAX};
        struct sl_value error = sl_value_none();
        if (sl_engine_cel.test(script, instance, &call, &error) == 1) continue;
        sl_value_unref(error);
        wrong++;
    }
    if (ready) sl_value_unref(self);
    sl_engine_cel.detach(script, shard, instance);
    sl_engine_cel.shard_fini(shard);
    (void)sl_mem_free(mem);
    return ready && wrong == 0 ? NULL : script;
}

static void run_one_script_on_several_threads_agrees(void **state)
{
    struct fixture *fix = *state;
    pthread_t threads[THREADS];
    struct sl_value env = cel_json(fix, "{\"n\":5,\"x\":\"xt\"}");
    fix->source.env = env;
    struct sl_script *script = cel_open(fix, code);
    if (script == NULL) fail_msg("%s", fix->diag.text);
    sl_value_unref(env);
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, run_often, script), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    cel_close(script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(run_one_script_on_several_threads_agrees, cel_setup,
                                        cel_teardown),
    };
    return cmocka_run_group_tests_name("cel shared", tests, NULL, NULL);
}
