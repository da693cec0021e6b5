/* SPDX-License-Identifier: MIT */
/*
 * Testing a predicate, in one loop; see predicate.h. For the engine's own condition and for
 * predicate.c.
 */
#pragma once

#include "nodes/script/cel/eval.h"
#include "nodes/script/cel/predicate.h"

#define SL_CEL_FORCED inline __attribute__((always_inline)) /* calls were a third of the time */

static SL_CEL_FORCED int sl_cel_gate_test_equal(struct sl_value value,
                                                const struct sl_cel_gate *gate)
{
    const struct sl_cell *cell = value.cell;
    if (__builtin_expect(cell->kind != gate->kind, 0)) {
        /* Numbers may be equal over their kinds; the rest of the scalars never is. */
        bool number = cell->kind >= SL_VALUE_INT && cell->kind <= SL_VALUE_FLOAT;
        return number || cell->kind > SL_VALUE_BINARY ? -1 : 0;
    }
    if (cell->kind == SL_VALUE_STRING) {
        return cell->len == gate->with->len &&
               sl_cel_step_fits(&gate->text, sl_cell_bytes(value.buf, cell));
    }
    return cell->kind == SL_VALUE_FLOAT ? cell->f64 == gate->with->d : cell->word == gate->with->u;
}

/* A number that is not one has no order: no comparison with it holds. */
static SL_CEL_FORCED int sl_cel_gate_test_order(struct sl_value value,
                                                const struct sl_cel_gate *gate)
{
    const struct sl_cell *cell = value.cell;
    if (__builtin_expect(cell->kind != gate->kind, 0)) return -1;
    if (__builtin_expect(cell->kind == SL_VALUE_INT, 1)) {
        int64_t with = gate->with->i;
        return gate->orders >> (1 + (cell->i64 > with) - (cell->i64 < with)) & 1;
    }
    if (cell->kind != SL_VALUE_FLOAT) return -1;
    double with = gate->with->d;
    if (cell->f64 != cell->f64 || with != with) return 0;
    return gate->orders >> (1 + (cell->f64 > with) - (cell->f64 < with)) & 1;
}

static SL_CEL_FORCED int sl_cel_gate_test_end(struct sl_value value, const struct sl_cel_gate *gate)
{
    const struct sl_cell *cell = value.cell;
    uint32_t len = gate->with->len;
    if (__builtin_expect(cell->kind != SL_VALUE_STRING, 0)) return -1;
    const uint8_t *bytes = sl_cell_bytes(value.buf, cell);
    if (gate->test == SL_CEL_TEST_ENDS) bytes += cell->len - len;
    return cell->len >= len && sl_cel_step_fits(&gate->text, bytes);
}

static SL_CEL_FORCED int sl_cel_gate_test(struct sl_value at, const struct sl_cel_gate *gate)
{
    struct sl_cel_step *step = gate->step;
    struct sl_cel_step *end = gate->end;
    if (gate->test == SL_CEL_TEST_HAS) return sl_cel_gate_test_has(at, gate);
    for (; step != end; step++) {
        if (__builtin_expect(at.cell->kind != SL_VALUE_MAP, 0)) {
            if (at.cell->kind < SL_VALUE_REF) return -1;
            at = sl_value_resolve_slow(at.buf, at.cell);
            if (at.cell->kind != SL_VALUE_MAP) return -1;
        }
        at.cell = sl_cel_step_find(at, step);
        if (__builtin_expect(at.cell == NULL, 0)) return -1;
    }
    at = sl_value_at_cell(at.buf, at.cell);
    switch ((enum sl_cel_test)gate->test) {
    case SL_CEL_TEST_EQUAL: return sl_cel_gate_test_equal(at, gate);
    case SL_CEL_TEST_ORDER: return sl_cel_gate_test_order(at, gate);
    case SL_CEL_TEST_STARTS:
    case SL_CEL_TEST_ENDS: return sl_cel_gate_test_end(at, gate);
    case SL_CEL_TEST_LOOP: return sl_cel_gate_test_loop(at, gate);
    case SL_CEL_TEST_TRUE: return at.cell->kind == SL_VALUE_BOOL ? at.cell->word != 0 : -1;
    default: return sl_cel_gate_test_text(at, gate);
    }
}

/* From gate to gate: 1, 0 or -1. */
static SL_CEL_FORCED int sl_cel_gates_test(const struct sl_cel_gate *gate, struct sl_value at)
{
    for (;;) {
        int holds = sl_cel_gate_test(at, gate);
        if (__builtin_expect(holds < 0, 0)) return -1;
        const struct sl_cel_gate *next = gate->next[holds];
        if (next == NULL) return gate->answers[holds];
        gate = next;
    }
}

/* sl_cel_predicate_test without its checks. */
static SL_CEL_FORCED int sl_cel_predicate_test_fast(const struct sl_cel_instance *instance,
                                                    struct sl_value self)
{
    return sl_cel_gates_test(instance->entry, self);
}
