/* SPDX-License-Identifier: MIT */
/*
 * Gates: the tests of a predicate (predicate.h), each of which jumps to the next. Where all stands as
 * the last time and is of the kind that was expected, a function for just that test is enough, which
 * calls nothing. Whatever else there is, slow_go looks at the gate again, in all ways.
 */
#include <string.h>

#include "core/base/assertion.h"
#include "nodes/script/cel/predicate.h"

#define GATE_FORCED  inline __attribute__((always_inline)) /* calls were a third of the time */
#define GATE_RARE(x) __builtin_expect(!!(x), 0)

enum {
    WORK_MAX = 1024, /* charges of one search of a text that need not be counted */
    LOOP_MAX = 64,   /* elements whose turns need not be */
};

static GATE_FORCED int go_on(struct sl_value self, const struct sl_cel_gate *gate, bool holds)
{
    const struct sl_cel_gate *next = gate->next[holds];
    return next->go(self, next);
}

static int answer_go(struct sl_value self, const struct sl_cel_gate *gate)
{
    (void)self;
    return gate == &sl_cel_gate_answers[1];
}

const struct sl_cel_gate sl_cel_gate_answers[2] = {{.go = answer_go}, {.go = answer_go}};

/* ------------------------------------------------------------------------------------------ */
/* All ways                                                                                     */

static int test_in(struct sl_slice text, const struct sl_cel_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        const struct sl_cel_val *item = &list->items[i];
        if (item->len == text.size && sl_cel_same_bytes(item->ptr, text.data, item->len)) return 1;
    }
    return 0;
}

static int test_contains(struct sl_slice text, const struct sl_cel_val *with)
{
    if (text.size < with->len || with->len == 0) return with->len == 0;
    if (text.size * (with->len / 16 + 1) / 64 > WORK_MAX) return -1;
    return memmem(text.data, text.size, with->ptr, with->len) != NULL;
}

static int test_matches(struct sl_slice text, const struct sl_cel_regex *regex)
{
    if (regex == NULL || text.size * sl_cel_regex_size(regex) / 64 > WORK_MAX) return -1;
    return sl_cel_regex_match(regex, text.data, text.size);
}

static int test_text(struct sl_value value, const struct sl_cel_gate *gate)
{
    if (value.cell->kind != SL_VALUE_STRING) return -1;
    struct sl_slice text = sl_value_slice(value);
    switch ((enum sl_cel_test)gate->test) {
    case SL_CEL_TEST_IN: return test_in(text, gate->with->list);
    case SL_CEL_TEST_CONTAINS: return test_contains(text, gate->with);
    case SL_CEL_TEST_MATCHES: return test_matches(text, gate->regex);
    default: sl_unreachable();
    }
}

/* has(): the map must be there, its last key need not. */
static int test_has(struct sl_value at, const struct sl_cel_gate *gate)
{
    uint32_t count = (uint32_t)(gate->end - gate->step);
    if (count > 1) at = sl_cel_walk(at, gate->step, count - 1);
    if (at.cell == NULL || at.cell->kind != SL_VALUE_MAP) return -1;
    return sl_cel_step_find(at, gate->end - 1) != NULL;
}

/* Each element until one decides. Where the body gives up, the machine runs all of it. */
static int test_loop(struct sl_value list, const struct sl_cel_gate *gate)
{
    if (list.cell->kind != SL_VALUE_LIST || list.cell->len > LOOP_MAX) return -1;
    const struct sl_cell *cell = list.buf->cells + list.cell->word;
    for (const struct sl_cell *end = cell + list.cell->len; cell < end; cell++) {
        int holds = gate->body->go(sl_value_at_cell(list.buf, cell), gate->body);
        if (__builtin_expect(holds < 0, 0)) return -1;
        if (holds == gate->decides) return gate->decides;
    }
    return !gate->decides;
}

static int test_equal(struct sl_value value, const struct sl_cel_gate *gate)
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
static int test_order(struct sl_value value, const struct sl_cel_gate *gate)
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

static int test_end(struct sl_value value, const struct sl_cel_gate *gate)
{
    const struct sl_cell *cell = value.cell;
    uint32_t len = gate->with->len;
    if (__builtin_expect(cell->kind != SL_VALUE_STRING, 0)) return -1;
    const uint8_t *bytes = sl_cell_bytes(value.buf, cell);
    if (gate->test == SL_CEL_TEST_ENDS) bytes += cell->len - len;
    return cell->len >= len && sl_cel_step_fits(&gate->text, bytes);
}

static int test_any(struct sl_value at, const struct sl_cel_gate *gate)
{
    struct sl_cel_step *step = gate->step;
    struct sl_cel_step *end = gate->end;
    if (gate->test == SL_CEL_TEST_HAS) return test_has(at, gate);
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
    case SL_CEL_TEST_EQUAL: return test_equal(at, gate);
    case SL_CEL_TEST_ORDER: return test_order(at, gate);
    case SL_CEL_TEST_STARTS:
    case SL_CEL_TEST_ENDS: return test_end(at, gate);
    case SL_CEL_TEST_LOOP: return test_loop(at, gate);
    case SL_CEL_TEST_TRUE: return at.cell->kind == SL_VALUE_BOOL ? at.cell->word != 0 : -1;
    default: return test_text(at, gate);
    }
}

static __attribute__((noinline)) int slow_go(struct sl_value self, const struct sl_cel_gate *gate)
{
    int holds = test_any(self, gate);
    return holds < 0 ? -1 : go_on(self, gate, holds);
}

/* ------------------------------------------------------------------------------------------ */
/* The common way                                                                               */

/* The value behind the gate's path; false: it is not as the last time. */
static GATE_FORCED bool walk(struct sl_value *at, const struct sl_cel_gate *gate)
{
    return sl_cel_walk_guess(at, gate->step, gate->end) == gate->end;
}

static int go_order_int(struct sl_value self, const struct sl_cel_gate *gate)
{
    struct sl_value at = self;
    if (GATE_RARE(!walk(&at, gate)) || GATE_RARE(at.cell->kind != SL_VALUE_INT)) {
        return slow_go(self, gate);
    }
    int64_t value = at.cell->i64, with = gate->with->i;
    return go_on(self, gate, gate->orders >> (1 + (value > with) - (value < with)) & 1);
}

/* Bool and Int: null has no word. */
static int go_equal_word(struct sl_value self, const struct sl_cel_gate *gate)
{
    struct sl_value at = self;
    if (GATE_RARE(!walk(&at, gate)) || GATE_RARE(at.cell->kind != gate->kind)) {
        return slow_go(self, gate);
    }
    return go_on(self, gate, at.cell->word == gate->with->u);
}

static int go_equal_text(struct sl_value self, const struct sl_cel_gate *gate)
{
    struct sl_value at = self;
    if (GATE_RARE(!walk(&at, gate)) || GATE_RARE(at.cell->kind != SL_VALUE_STRING)) {
        return slow_go(self, gate);
    }
    bool holds = at.cell->len == gate->text.size &&
                 sl_cel_step_fits_short(&gate->text, sl_cell_bytes(at.buf, at.cell));
    return go_on(self, gate, holds);
}

static GATE_FORCED int go_end(struct sl_value self, const struct sl_cel_gate *gate, bool starts)
{
    struct sl_value at = self;
    if (GATE_RARE(!walk(&at, gate)) || GATE_RARE(at.cell->kind != SL_VALUE_STRING)) {
        return slow_go(self, gate);
    }
    uint32_t len = at.cell->len, size = gate->text.size;
    if (len < size) return go_on(self, gate, false);
    const uint8_t *bytes = sl_cell_bytes(at.buf, at.cell) + (starts ? 0 : len - size);
    return go_on(self, gate, sl_cel_step_fits_short(&gate->text, bytes));
}

static int go_starts(struct sl_value self, const struct sl_cel_gate *gate)
{
    return go_end(self, gate, true);
}

static int go_ends(struct sl_value self, const struct sl_cel_gate *gate)
{
    return go_end(self, gate, false);
}

static int go_true(struct sl_value self, const struct sl_cel_gate *gate)
{
    struct sl_value at = self;
    if (GATE_RARE(!walk(&at, gate)) || GATE_RARE(at.cell->kind != SL_VALUE_BOOL)) {
        return slow_go(self, gate);
    }
    return go_on(self, gate, at.cell->word != 0);
}

void sl_cel_gate_choose(struct sl_cel_gate *gate)
{
    sl_assert(gate != NULL);
    sl_assert(gate->step <= gate->end);
    gate->go = slow_go;
    for (const struct sl_cel_step *step = gate->step; step != gate->end; step++) {
        if (step->shape == SL_CEL_STEP_LONG) return;
    }
    if (gate->kind == SL_VALUE_STRING && gate->text.shape == SL_CEL_STEP_LONG) return;
    bool word = gate->kind == SL_VALUE_BOOL || gate->kind == SL_VALUE_INT;
    switch ((enum sl_cel_test)gate->test) {
    case SL_CEL_TEST_TRUE: gate->go = go_true; break;
    case SL_CEL_TEST_EQUAL:
        if (gate->kind == SL_VALUE_STRING) gate->go = go_equal_text;
        if (word) gate->go = go_equal_word;
        break;
    case SL_CEL_TEST_ORDER:
        if (gate->kind == SL_VALUE_INT) gate->go = go_order_int;
        break;
    case SL_CEL_TEST_STARTS: gate->go = go_starts; break;
    case SL_CEL_TEST_ENDS: gate->go = go_ends; break;
    default: break;
    }
}
