/* SPDX-License-Identifier: MIT */
/* Percentiles of the registry's operations, over both backends. usage: registry_bench [ROUNDS] */
#include "tests/ctl/registry/fixture.h"

#include "ctl/registry/measure.h"

static int number_order(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static void print_row(struct sl_registry *registry, enum sl_registry_measure_op op, size_t rounds)
{
    uint64_t *ns = calloc(rounds, sizeof(*ns));
    assert_non_null(ns);
    assert_int_equal(sl_registry_measure(registry, op, rounds, ns, NULL), 0);
    qsort(ns, rounds, sizeof(*ns), number_order);
    (void)printf("  %-9s p50 %8.2f us   p99 %8.2f us   max %8.2f us\n",
                 sl_registry_measure_name(op), (double)ns[rounds / 2] / 1e3,
                 (double)ns[rounds * 99 / 100] / 1e3, (double)ns[rounds - 1] / 1e3);
    free(ns);
}

int main(int argc, char **argv)
{
    size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000;
    for (int memory = 0; memory < 2 && rounds > 0; memory++) {
        void *state;
        (void)setup_with(&state, memory == 1);
        (void)printf("%s, %zu rounds\n", memory == 1 ? "memory" : "lmdb", rounds);
        for (int op = 0; op < SL_MEASURE_OPS; op++) {
            print_row(((struct fixture *)state)->registry, (enum sl_registry_measure_op)op, rounds);
        }
        (void)teardown(&state);
    }
    return 0;
}
