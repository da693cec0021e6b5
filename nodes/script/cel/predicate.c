/* SPDX-License-Identifier: MIT */
#include "nodes/script/cel/predicate.h"

#include <stdlib.h>

#include "core/base/assertion.h"

enum {
    TERMS_MAX = 256, /* of one program: so deep gates may call each other */
};

/* ------------------------------------------------------------------------------------------ */
/* Making                                                                                       */

struct maker {
    struct sl_cel_gen *gen;
    const struct sl_cel_node *loop; /* whose body this is, or NULL */
    bool failed;                    /* the tree is no predicate */
};

static int32_t give_up(struct maker *maker)
{
    maker->failed = true;
    return SL_CEL_GOES_FALSE;
}

/* True if paths may begin here: at variable 0, which every run binds; in a body at the element. */
static bool can_begin(const struct maker *maker, const struct sl_cel_node *base)
{
    const struct sl_cel_options *options = maker->gen->options;
    if (maker->loop != NULL) return base->meaning == SL_CEL_M_LOCAL && base->binder == maker->loop;
    if (base->meaning != SL_CEL_M_VAR || base->index != 0) return false;
    return options->decls_count > 0 && options->decls[0].always;
}

/* The keys of a path; false if the node is none. */
static bool path_read(struct maker *maker, const struct sl_cel_node *node, struct sl_cel_term *term)
{
    struct sl_slice key;
    uint32_t count = 0;
    const struct sl_cel_node *base = node;
    for (; sl_cel_gen_is_step(base, &key); base = base->args[0]) count++;
    bool unpacked = base->meaning == SL_CEL_M_KEY && base->regs[0] == 0 && maker->loop == NULL;
    if (!unpacked && !can_begin(maker, base)) return false;
    if (!unpacked && count == 0 && maker->loop == NULL) return false;
    term->count = count + unpacked;
    term->key = maker->gen->keys.count;
    for (uint32_t i = 0; i < term->count; i++) (void)sl_cel_gen_key(maker->gen, SL_SLICE(""), 0);
    if (maker->gen->error != 0) return false;
    for (uint32_t i = term->count; i-- > unpacked; node = node->args[0]) {
        (void)sl_cel_gen_is_step(node, &key);
        sl_cel_gen_key_set(maker->gen, term->key + i, key, node->offset);
    }
    if (unpacked) sl_cel_gen_key_set(maker->gen, term->key, base->name, base->offset);
    return true;
}

static int32_t term_add(struct maker *maker, const struct sl_cel_term *term)
{
    struct sl_cel_gen *gen = maker->gen;
    if (gen->terms.count >= TERMS_MAX) return give_up(maker);
    struct sl_cel_term *own = sl_cel_gen_push(gen, &gen->terms, sizeof(*term));
    *own = *term;
    return gen->error != 0 ? give_up(maker) : (int32_t)gen->terms.count - 1;
}

static bool is_text(const struct sl_cel_node *node)
{
    return node->kind == SL_CEL_N_LITERAL && node->literal.kind == SL_CEL_STRING;
}

static bool is_list_of_texts(const struct sl_cel_node *node)
{
    const struct sl_cel_val *list = &node->literal;
    if (node->kind != SL_CEL_N_LITERAL || list->kind != SL_CEL_LIST || sl_cel_is_cell(list)) {
        return false;
    }
    for (uint32_t i = 0; i < list->list->count; i++) {
        if (list->list->items[i].kind != SL_CEL_STRING) return false;
    }
    return list->list->count <= TERMS_MAX;
}

static bool call_read(struct maker *maker, const struct sl_cel_node *node, struct sl_cel_term *term,
                      bool *ret_negate)
{
    static const struct {
        const char *name;
        uint8_t test;
        uint8_t relation;
    } tests[] = {
        {"_==_", SL_CEL_TEST_EQUAL, 0},
        {"_!=_", SL_CEL_TEST_EQUAL, 1},
        {"_<_", SL_CEL_TEST_ORDER, SL_CEL_LESS},
        {"_<=_", SL_CEL_TEST_ORDER, SL_CEL_LESS_EQUAL},
        {"_>_", SL_CEL_TEST_ORDER, SL_CEL_GREATER},
        {"_>=_", SL_CEL_TEST_ORDER, SL_CEL_GREATER_EQUAL},
        {"@in", SL_CEL_TEST_IN, 0},
        {"startsWith", SL_CEL_TEST_STARTS, 0},
        {"endsWith", SL_CEL_TEST_ENDS, 0},
        {"contains", SL_CEL_TEST_CONTAINS, 0},
        {"matches", SL_CEL_TEST_MATCHES, 0},
    };
    size_t at = 0;
    size_t count = sizeof(tests) / sizeof(tests[0]);
    while (at < count && !sl_slice_eq_str(node->name, tests[at].name)) at++;
    if (at == count || node->count != 2 || node->meaning == SL_CEL_M_GLOBAL_CALL) return false;
    const struct sl_cel_node *with = node->args[1];
    term->test = tests[at].test;
    term->relation = tests[at].relation;
    *ret_negate = term->test == SL_CEL_TEST_EQUAL && term->relation == 1;
    bool member = (node->flags & SL_CEL_NF_MEMBER) != 0;
    bool scalar = with->kind == SL_CEL_N_LITERAL && with->literal.kind <= SL_CEL_STRING;
    switch ((enum sl_cel_test)term->test) {
    case SL_CEL_TEST_EQUAL:
    case SL_CEL_TEST_ORDER:
        if (!scalar) return false;
        break;
    case SL_CEL_TEST_IN:
        if (!is_list_of_texts(with)) return false;
        break;
    default:
        if (!is_text(with) || !member) return false;
        break;
    }
    term->with = with->literal;
    if (!path_read(maker, node->args[0], term)) return false;
    if (term->test == SL_CEL_TEST_MATCHES) {
        term->pattern = sl_cel_gen_pattern(maker->gen, sl_cel_slice(&with->literal));
    }
    return true;
}

static int32_t make(struct maker *maker, const struct sl_cel_node *node, int32_t yes, int32_t no);

/* list.exists(x, body), list.all(x, body) */
static bool loop_read(struct maker *maker, const struct sl_cel_node *node, struct sl_cel_term *term)
{
    bool exists = node->op == SL_CEL_LOOP_EXISTS;
    if (!exists && node->op != SL_CEL_LOOP_ALL) return false;
    if (node->vars[1].size > 0 || node->count != 2 || maker->loop != NULL) return false;
    term->test = SL_CEL_TEST_LOOP;
    term->decides = exists;
    if (!path_read(maker, node->args[0], term)) return false;
    maker->loop = node;
    term->body = make(maker, node->args[1], SL_CEL_GOES_TRUE, SL_CEL_GOES_FALSE);
    maker->loop = NULL;
    return !maker->failed && term->body >= 0;
}

/* One test, with where it leads. */
static int32_t leaf(struct maker *maker, const struct sl_cel_node *node, int32_t yes, int32_t no)
{
    struct sl_cel_term term = {.test = SL_CEL_TEST_TRUE, .yes = yes, .no = no};
    bool negate = false;
    bool done;
    if (node->kind == SL_CEL_N_LITERAL && node->literal.kind == SL_CEL_BOOL) {
        return node->literal.u != 0 ? yes : no;
    }
    if (node->kind == SL_CEL_N_SELECT && node->flags == SL_CEL_NF_TEST &&
        node->meaning == SL_CEL_M_NONE) {
        struct sl_cel_node last = *node; /* has(a.b): the path a.b */
        last.flags = 0;
        term.test = SL_CEL_TEST_HAS;
        done = path_read(maker, &last, &term);
    } else if (node->kind == SL_CEL_N_LOOP) {
        done = loop_read(maker, node, &term);
    } else if (sl_cel_gen_is_step(node, &(struct sl_slice){NULL, 0}) ||
               node->kind == SL_CEL_N_IDENT) {
        done = path_read(maker, node, &term);
    } else {
        done = node->kind == SL_CEL_N_CALL && call_read(maker, node, &term, &negate);
    }
    if (!done) return give_up(maker);
    if (negate) {
        term.yes = no;
        term.no = yes;
    }
    return term_add(maker, &term);
}

/*
 * The term at which the tree begins. Later parts come first, so that where to go is known. The
 * recursion follows the tree, whose depth the parser bounded.
 */
static int32_t make(struct maker *maker, const struct sl_cel_node *node, int32_t yes, int32_t no)
{
    if (maker->failed) return no;
    if (node->kind == SL_CEL_N_AND || node->kind == SL_CEL_N_OR) {
        bool is_and = node->kind == SL_CEL_N_AND;
        int32_t entry = make(maker, node->args[node->count - 1], yes, no);
        for (uint32_t i = node->count - 1; i-- > 0;) {
            entry = is_and ? make(maker, node->args[i], entry, no)
                           : make(maker, node->args[i], yes, entry);
        }
        return entry;
    }
    if (node->kind == SL_CEL_N_COND) {
        int32_t then = make(maker, node->args[1], yes, no);
        int32_t other = make(maker, node->args[2], yes, no);
        return make(maker, node->args[0], then, other);
    }
    if (node->kind == SL_CEL_N_CALL && sl_slice_eq_str(node->name, "!_")) {
        return make(maker, node->args[0], no, yes);
    }
    return leaf(maker, node, yes, no);
}

void sl_cel_predicate_gen(struct sl_cel_gen *gen, const struct sl_cel_node *root)
{
    sl_assert(gen != NULL);
    sl_assert(root != NULL);
    struct maker maker = {.gen = gen};
    gen->entry = make(&maker, root, SL_CEL_GOES_TRUE, SL_CEL_GOES_FALSE);
    if (maker.failed || gen->entry < 0) gen->terms.count = 0;
}

static void gate_init(struct sl_cel_instance *instance, uint32_t number)
{
    static const uint8_t orders[] = {[SL_CEL_LESS] = 1, /* bit 0 less, 1 equal, 2 greater */
                                     [SL_CEL_LESS_EQUAL] = 3,
                                     [SL_CEL_GREATER] = 4,
                                     [SL_CEL_GREATER_EQUAL] = 6};
    const struct sl_cel_term *term = &instance->program->terms[number];
    struct sl_cel_gate *gate = &instance->gates[number];
    *gate = (struct sl_cel_gate){.test = term->test,
                                 .orders = orders[term->relation],
                                 .kind = term->with.kind,
                                 .step = instance->steps + term->key,
                                 .end = instance->steps + term->key + term->count,
                                 .decides = term->decides,
                                 .with = &term->with};
    const int32_t leads[2] = {term->no, term->yes};
    for (int i = 0; i < 2; i++) {
        gate->next[i] = leads[i] >= 0 ? &instance->gates[leads[i]]
                                      : &sl_cel_gate_answers[leads[i] == SL_CEL_GOES_TRUE];
    }
    if (term->test == SL_CEL_TEST_LOOP) gate->body = &instance->gates[term->body];
    if (term->test == SL_CEL_TEST_MATCHES) gate->regex = instance->regexes[term->pattern];
    if (term->with.kind == SL_CEL_STRING) {
        gate->key = (struct sl_cel_key){.data = term->with.ptr, .size = term->with.len};
        sl_cel_steps_init(&gate->text, &gate->key, 1);
    }
    sl_cel_gate_choose(gate);
}

bool sl_cel_predicate_open(struct sl_cel_instance *instance)
{
    sl_assert(instance != NULL);
    sl_assert(instance->gates == NULL);
    uint32_t count = instance->program->terms_count;
    if (count == 0) return true;
    instance->gates = calloc(count, sizeof(*instance->gates));
    if (instance->gates == NULL) return false;
    for (uint32_t i = 0; i < count; i++) gate_init(instance, i);
    instance->entry = &instance->gates[instance->program->entry];
    return true;
}
