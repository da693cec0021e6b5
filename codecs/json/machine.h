/* SPDX-License-Identifier: MIT */
/*
 * The second step of reading: from place to place (scan.h), straight to cells. Included once by each
 * file that builds a parser, after its ways to scan a window and to read words and numbers:
 *
 *     scan_window    finds the places of the next window
 *     scan_small     finds those of a text that is one window
 *     word_read      1..8 bytes as a word
 *     number_read    the common numbers
 *     order_get      the index of a map
 *
 * Children of a container have to stand in a row before it, and those of an inner one before them.
 * So they are written to the end of the tape as if no container would come, and only if one does
 * what was written is put aside on the builder's stack; a container without containers, as most are,
 * is never copied.
 *
 *     [1,{"a":2},3]      tape | 1                stack | List            an item: where it will stay
 *                        tape |                  stack | List 1 Map      '{': put the elder aside
 *                        tape | "a" 2            stack | List 1 Map
 *                        tape | "a" 2            stack | List 1 Map 3    '}' seals the tape's end
 *                        tape | "a" 2 1 Map 3    stack | List            ']' copies
 *
 * What does not fit, maps with many keys, and keys that may stand twice go to the builder.
 */
#pragma once

#include <errno.h>

#include "codecs/flat/flat_build_fast.h"
#include "codecs/json/json_private.h"
#include "codecs/json/read.h"
#include "codecs/json/scan.h"
#include "codecs/json/words.h"

enum {
    MACHINE_CHUNK = 4,       /* cells copied at once: so many may be written beyond the last */
    MACHINE_ROOM = 2,        /* cells that a step may write: a key and its value */
    MACHINE_INDEX_MAX = 64,  /* pairs of a map whose index is made here */
    MACHINE_SPACE = 6,       /* bytes of text for a cell, in texts of many windows */
    MACHINE_BYTES_OWNER = 48 /* bytes for the owner's entry; escapes make room for themselves */
};

/* An open container, or what is around the root. */
struct level {
    struct sl_cell
        *first;    /* where its children stand once they are on the stack: behind its own cell */
    uint64_t seen; /* of the container around it */
};

/*
 * The children of the innermost container that were read so far. They end at `top`, and a map has a
 * bit in `seen` for each of 64 hashes of its keys. All of it changes at each step or each container,
 * and what is written to memory can be read only some cycles later: so these are variables of the
 * parser, and handed around. They stand on the end of the tape as long as `first` is `tape`, else
 * on the builder's stack.
 */
struct run {
    struct sl_cell *first;
    struct sl_cell *limit; /* from here on there is no MACHINE_ROOM */
    struct sl_cell *tape;  /* behind its last cell */
    struct level *level;   /* of the container; the first one is around the root */
};

/* What is known of a text before its cells are written: a parser of its own for each. */
struct text_kind {
    bool borrow; /* strings are borrowed from the text, else copied */
    bool whole;  /* all its places were found in the first window, and no backslash */
};

/* One text, and what is not needed at each step. */
struct machine {
    struct sl_builder builder; /* its depth and counts are set where it is called */
    struct run run;            /* likewise */
    struct sl_cell *cells;     /* of the tape */
    struct sl_cell *stack_limit;
    struct sl_cell *tape_limit;
    struct level *deepest;
    bool repeated; /* a map may have a key twice: its cell has flags of 1 */
    struct level levels[SL_PAYLOAD_DEPTH_MAX + 1];
    struct json_scan scan; /* last: its places need not be cleared */
};

/* ------------------------------------------------------------------------------------------ */
/* Runs                                                                                         */

static FAST_INLINE struct sl_cell *limit_get(struct sl_cell *cells, uint32_t cap)
{
    return cells + cap - (MACHINE_CHUNK + MACHINE_ROOM - 1);
}

/* Copy cells, MACHINE_CHUNK at a time; the end of the copies. */
static FAST_INLINE struct sl_cell *cells_copy(struct sl_cell *to, const struct sl_cell *from,
                                              size_t count)
{
    struct sl_cell *end = to + count;
    while (to < end) {
        for (int i = 0; i < MACHINE_CHUNK; i++) {
            fast_pair pair;
            memcpy(&pair, from + i, sizeof(pair));
            memcpy(to + i, &pair, sizeof(pair));
        }
        to += MACHINE_CHUNK;
        from += MACHINE_CHUNK;
    }
    return end;
}

/* Where the builder's memory is: it may have grown. */
static FAST_INLINE void memory_get(struct machine *machine, struct run *run)
{
    struct sl_builder *builder = &machine->builder;
    const struct sl_buf *buf = builder->buf;
    machine->cells = buf->cells;
    machine->stack_limit = limit_get(builder->stack, builder->stack_cap);
    machine->tape_limit = limit_get(buf->cells, buf->cells_cap);
    run->tape = buf->cells + buf->cells_count;
}

/* Tell the builder where we are. */
static void builder_sync(struct machine *machine)
{
    struct sl_builder *builder = &machine->builder;
    builder->depth = (uint32_t)(machine->run.level - machine->levels);
    builder->buf->cells_count = (uint32_t)(machine->run.tape - machine->cells);
    for (uint32_t i = 0; i < builder->depth; i++) {
        builder->open[i] = (uint32_t)(machine->levels[i + 1].first - builder->stack);
    }
}

/* Take over what the builder did: it has no level more than before. */
static void machine_sync(struct machine *machine)
{
    struct sl_builder *builder = &machine->builder;
    struct run *run = &machine->run;
    machine->levels[0].first = builder->stack;
    for (uint32_t i = 0; i < builder->depth; i++) {
        machine->levels[i + 1].first = builder->stack + builder->open[i];
    }
    run->level = machine->levels + builder->depth;
    run->first = run->level->first;
    memory_get(machine, run);
    run->limit = machine->stack_limit;
}

/* Move the run to the stack, with room for more. Its new top; NULL after an error. */
static __attribute__((noinline)) struct sl_cell *run_grow_slow(struct machine *machine,
                                                               const struct sl_cell *top)
{
    struct sl_builder *builder = &machine->builder;
    const struct sl_cell *first = machine->run.first;
    size_t count = (size_t)(top - first);
    bool direct = first == machine->run.tape;
    builder_sync(machine);
    uint32_t begin = (uint32_t)(machine->run.level->first - builder->stack);
    builder->stack_count = begin + (direct ? 0 : (uint32_t)count);
    while (begin + count + MACHINE_CHUNK + MACHINE_ROOM > builder->stack_cap) {
        if (!sl_builder_stack_grow(builder, (uint32_t)count + MACHINE_CHUNK + MACHINE_ROOM)) {
            return NULL;
        }
    }
    if (direct) memcpy(builder->stack + begin, first, count * sizeof(*first));
    machine_sync(machine);
    return machine->run.first + count;
}

static FAST_INLINE struct sl_cell *run_grow(struct machine *machine, struct run *run,
                                            const struct sl_cell *top)
{
    machine->run = *run;
    struct sl_cell *grown = run_grow_slow(machine, top);
    *run = machine->run;
    return grown;
}

/* Make room for the next step. The top; NULL after an error. */
static FAST_INLINE struct sl_cell *run_check(struct machine *machine, struct run *run,
                                             struct sl_cell *top)
{
    if (FAST_LIKELY(top < run->limit)) return top;
    return run_grow(machine, run, top);
}

/* Put the run aside on the stack: its container is not the innermost any more. */
static FAST_INLINE struct sl_cell *run_put_aside(struct machine *machine, struct run *run,
                                                 struct sl_cell *top)
{
    struct sl_cell *to = run->level->first;
    size_t count = (size_t)(top - run->first);
    if (FAST_RARE((ptrdiff_t)count >= machine->stack_limit - to)) {
        return run_grow(machine, run, top);
    }
    return cells_copy(to, run->first, count);
}

/* ------------------------------------------------------------------------------------------ */
/* Containers                                                                                   */

/* Begin a container at `top`, which its children then are. NULL after an error. */
static FAST_INLINE struct sl_cell *container_begin(struct machine *machine, struct run *run,
                                                   struct sl_cell *top, uint64_t seen, uint8_t kind)
{
    if (FAST_RARE(run->level == machine->levels + SL_PAYLOAD_DEPTH_MAX)) {
        sl_builder_fail(&machine->builder, -E2BIG);
        return NULL;
    }
    if (run->first == run->tape) {
        top = run_put_aside(machine, run, top);
        if (FAST_RARE(top == NULL)) return NULL;
    }
    cell_put(top, FAST_HEAD(kind, 0, 0, 0), 0);
    struct level *level = ++run->level;
    *level = (struct level){top + 1, seen};
    if (level > machine->deepest) machine->deepest = level;
    run->first = run->tape;
    run->limit = machine->tape_limit;
    return run->tape;
}

/* The container of `run` is sealed: the one around it goes on. */
static FAST_INLINE void level_end(struct machine *machine, struct run *run)
{
    run->level--;
    run->first = run->level->first;
    run->limit = machine->stack_limit;
}

/*
 * End a map whose pairs need an index, if their keys have different hashes: the pairs to the tape,
 * and their index behind them. false: nothing was done, the builder has to look.
 */
static FAST_INLINE bool map_end_indexed(struct machine *machine, const struct sl_cell *top)
{
    struct sl_builder *builder = &machine->builder;
    struct run *run = &machine->run;
    struct sl_cell *tape = run->tape, *own = run->level->first - 1;
    size_t count = (size_t)(top - run->first), place = (size_t)(tape - machine->cells);
    const uint32_t size = (uint32_t)(count / 2 * sizeof(uint32_t));
    if (count > 2 * MACHINE_INDEX_MAX || (machine->repeated && own->flags != 0)) return false;
    if (count + 1 + MACHINE_CHUNK > builder->buf->cells_cap - place) return false;
    uint8_t *order = sl_builder_bytes_reserve(builder, size);
    if (order == NULL || !order_get(run->first, (uint32_t)count / 2, order)) return false;
    tape = run->first == tape ? tape + count : cells_copy(tape, run->first, count);
    cell_put(tape, FAST_HEAD(SL_VALUE_BINARY, 0, 0, size), builder->buf->bytes_size);
    builder->buf->bytes_size += size;
    run->tape = tape + 1;
    cell_put(own, FAST_HEAD(SL_VALUE_MAP, SL_CELL_INDEXED, 0, count / 2), place);
    level_end(machine, run);
    return true;
}

/* End a container that is not common, and what is rare by the builder. */
static __attribute__((noinline)) bool container_end_slow(struct machine *machine,
                                                         const struct sl_cell *top, uint8_t kind)
{
    struct sl_builder *builder = &machine->builder;
    if (kind == SL_VALUE_MAP && top - machine->run.first > 2 * SL_PAYLOAD_MAP_INDEX_MIN &&
        FAST_LIKELY(map_end_indexed(machine, top))) {
        builder->open[machine->run.level - machine->levels] =
            (uint32_t)(machine->run.level[1].first - builder->stack);
        return true;
    }
    if (builder->error != 0) return false;
    top = run_grow_slow(machine, top);
    if (top == NULL) return false;
    builder->stack_count = (uint32_t)(top - builder->stack);
    if (kind == SL_VALUE_MAP) {
        sl_build_map_end(builder);
    } else {
        sl_build_list_end(builder);
    }
    if (builder->error != 0) return false;
    machine_sync(machine);
    return true;
}

/* The same: *ret_own is its cell. */
static FAST_INLINE bool container_end_rare(struct machine *machine, struct run *run,
                                           const struct sl_cell *top, uint8_t kind,
                                           struct sl_cell **ret_own)
{
    size_t depth = (size_t)(run->level - machine->levels);
    machine->run = *run;
    if (!container_end_slow(machine, top, kind)) return false;
    *run = machine->run;
    *ret_own = machine->builder.stack + machine->builder.open[depth - 1] - 1;
    return true;
}

/*
 * End the innermost container; what was read of the one around it goes on at the returned top,
 * which is NULL after an error.
 */
static FAST_INLINE struct sl_cell *container_end(struct machine *machine, struct run *run,
                                                 struct sl_cell *top, uint64_t *ret_seen,
                                                 uint8_t kind)
{
    struct sl_cell *own = run->level->first - 1;
    size_t count = (size_t)(top - run->first), place = (size_t)(run->tape - machine->cells);
    bool direct = run->first == run->tape;
    bool fits = direct || count + MACHINE_CHUNK <= machine->builder.buf->cells_cap - place;
    *ret_seen = run->level->seen;
    if (kind == SL_VALUE_MAP) {
        fits &= count <= 2 * SL_PAYLOAD_MAP_INDEX_MIN;
        if (FAST_RARE(machine->repeated)) fits &= own->flags == 0;
    }
    if (FAST_RARE(!fits)) return container_end_rare(machine, run, top, kind, &own) ? own + 1 : NULL;
    run->tape = direct ? top : cells_copy(run->tape, run->first, count);
    cell_put(own, FAST_HEAD(kind, 0, 0, kind == SL_VALUE_MAP ? count / 2 : count),
             count > 0 ? place : 0);
    level_end(machine, run);
    return own + 1;
}

/* ------------------------------------------------------------------------------------------ */
/* Strings                                                                                      */

/* The seeds of sl_hash64, mixed, of keys of 0..8 bytes. */
#define HASH_SEED(size)                                                                            \
    ((((size) + UINT64_C(1)) * SL_HASH_MULTIPLIER) ^                                               \
     (((size) + UINT64_C(1)) * SL_HASH_MULTIPLIER) >> 32)
static const uint64_t hash_seeds[9] = {HASH_SEED(0), HASH_SEED(1), HASH_SEED(2),
                                       HASH_SEED(3), HASH_SEED(4), HASH_SEED(5),
                                       HASH_SEED(6), HASH_SEED(7), HASH_SEED(8)};

/* sl_hash64: the bits 16..31 are the hash of the key. */
static FAST_INLINE uint64_t hash_key(const uint8_t *at, size_t size, const uint8_t *end)
{
    uint64_t hash = FAST_LIKELY(size <= 8) ? hash_seeds[size] : HASH_SEED(size);
    for (; __builtin_expect(size > 8, 0); size -= 8, at += 8) {
        hash = (hash ^ load64(at)) * SL_HASH_MULTIPLIER;
        hash ^= hash >> 32;
    }
    if (FAST_RARE(size == 0)) return hash;
    hash = (hash ^ word_read(at, size, end)) * SL_HASH_MULTIPLIER;
    return hash ^ (hash >> 32);
}

/* The cell of the string [begin, begin + size), with `head` of its hash. */
static FAST_INLINE bool string_put(struct sl_builder *builder, const struct text_kind kind,
                                   const uint8_t *begin, size_t size, uint64_t head,
                                   struct sl_cell *cell)
{
    head |= (uint64_t)size << 32 | SL_VALUE_STRING;
    if (kind.borrow) {
        cell_put(cell, head | SL_CELL_POINTER << 8, (uintptr_t)begin);
        return true;
    }
    uint8_t *to = sl_builder_bytes_reserve(builder, size);
    if (to == NULL) return false;
    memcpy(to, begin, size);
    struct sl_buf *buf = builder->buf;
    cell_put(cell, head, buf->bytes_size);
    buf->bytes_size += (uint32_t)size;
    return true;
}

/*
 * The bit of `seen` is set: where a key has the same hash, the builder has to look at the map.
 *
 * own, key  the map's own cell and its first key
 * returns   what `seen` is from here on: nothing, where the builder will look anyway
 */
static __attribute__((noinline)) uint64_t key_repeated(struct machine *machine, struct sl_cell *own,
                                                       const struct sl_cell *key,
                                                       const struct sl_cell *top, uint64_t seen)
{
    if (top - key >= SL_PAYLOAD_MAP_INDEX_MIN * 2) return 0;
    for (; key < top; key += 2) {
        if (key->hash != top->hash) continue;
        own->flags = 1;
        machine->repeated = true;
    }
    return seen;
}

static FAST_COLD bool key_unescape(struct sl_builder *builder, const uint8_t *begin, size_t size,
                                   struct sl_cell *cell)
{
    if (!json_fast_unescape(builder, begin, begin + size, cell)) return false;
    cell->hash = sl_hash16(builder->buf->bytes + cell->word, cell->len);
    return true;
}

/* A key to the run's top, which stays. */
static FAST_INLINE bool key_put(struct machine *machine, const struct run *run, struct sl_cell *top,
                                uint64_t *seen, const struct text_kind kind, const uint8_t *begin,
                                size_t size, const uint8_t *end)
{
    uint64_t hash;
    if (!kind.whole && FAST_RARE(machine->scan.escapes) && has_escape(begin, size, end)) {
        if (!key_unescape(&machine->builder, begin, size, top)) return false;
        hash = (uint64_t)top->hash << 16;
    } else {
        hash = hash_key(begin, size, end);
        if (!string_put(&machine->builder, kind, begin, size, hash & 0xffff0000, top)) {
            return false;
        }
    }
    uint64_t bit = UINT64_C(1) << (hash >> 16 & 63);
    if (FAST_RARE(*seen & bit)) {
        *seen = key_repeated(machine, run->level->first - 1, run->first, top, *seen);
    }
    *seen |= bit;
    return true;
}

static FAST_INLINE bool value_string_put(struct machine *machine, struct sl_cell *cell,
                                         const struct text_kind kind, const uint8_t *begin,
                                         size_t size, const uint8_t *end)
{
    if (!kind.whole && FAST_RARE(machine->scan.escapes) && has_escape(begin, size, end)) {
        return json_fast_unescape(&machine->builder, begin, begin + size, cell);
    }
    return string_put(&machine->builder, kind, begin, size, 0, cell);
}

/* ------------------------------------------------------------------------------------------ */
/* The machine                                                                                  */

static FAST_COLD bool number_slow(const uint8_t *at, const uint8_t *end, struct sl_cell *cell)
{
    const uint8_t *next = json_fast_number(at, end, cell);
    return next != NULL && (next == end || fast_ends[*next]);
}

/* A literal, with its cell: that is loaded at once, since two halves put together may wait. */
struct literal {
    uint64_t word;
    uint64_t mask;
    uint64_t size;
    uint64_t spare;
    struct sl_cell cell;
};

/* By two bits of the first byte; what else has these bits is not the word. */
static const struct literal literals[4] = {
    {UINT64_C(0x65736c6166), UINT64_C(0xffffffffff), 5, 0, {.kind = SL_VALUE_BOOL}},
    {FAST_WORD('n', 'u', 'l', 'l'), UINT32_MAX, 4, 0, {.kind = SL_VALUE_NULL}},
    {FAST_WORD('t', 'r', 'u', 'e'), UINT32_MAX, 4, 0, {.kind = SL_VALUE_BOOL, .word = 1}},
    {.word = 1, .size = 4}, /* nothing is: the mask is zero */
};

/* `next` is the next token, if there is one: then most literals end there. */
static FAST_INLINE bool literal_read(const uint8_t *at, const uint8_t *next, const uint8_t *end,
                                     struct sl_cell *cell)
{
    const struct literal *literal = &literals[*at >> 3 & 3];
    const uint8_t *behind = at + literal->size;
    if (FAST_RARE(behind != next)) {
        if (end - at < (ptrdiff_t)literal->size) return false;
        if (behind < end && !fast_ends[*behind]) return false;
    }
    uint64_t fifth = behind[-1]; /* of five; else the mask drops it */
    uint64_t word = load32(at) | fifth << 32;
    memcpy(cell, &literal->cell, sizeof(*cell));
    return FAST_LIKELY((word & literal->mask) == literal->word);
}

/* What is no string and no container; `next` is the next token, if there is one. */
static FAST_INLINE bool scalar_read(const uint8_t *at, const uint8_t *next, struct sl_slice slice,
                                    struct sl_cell *cell)
{
    const uint8_t *end = slice.data + slice.size;
    if (FAST_LIKELY(*at - (unsigned)'0' <= 9 || *at == '-')) {
        if (FAST_LIKELY(number_read_short(at, next, slice.data, cell))) return true;
        return FAST_LIKELY(number_read(at, next, end, cell)) || number_slow(at, end, cell);
    }
    return literal_read(at, next, end, cell);
}

/* Windows, until there are SCAN_AHEAD places or the text is at its end. */
static __attribute__((noinline)) void scan_on(struct json_scan *scan)
{
    while (scan->count < SCAN_AHEAD && scan->off < scan->size) scan_window(scan);
}

/* More places from `place` on, of windows behind the first; NULL: the text is bad, or at its end. */
static __attribute__((noinline)) const uint32_t *scan_more(struct json_scan *scan,
                                                           const uint32_t *place)
{
    if (!json_scan_keep(scan, place)) return NULL;
    scan_on(scan);
    return json_scan_close(scan) ? scan->places : NULL;
}

/* Step to the next place. */
#define MACHINE_NEXT() (at = text + *place++)

/*
 * SCAN_AHEAD places have to be there before the next steps. A whole text needs to look only where
 * containers begin: its end is followed by copies of the first bracket, and nothing but a container
 * goes on there.
 */
#define MACHINE_AHEAD(needed)                                                                      \
    do {                                                                                           \
        if ((needed) && FAST_RARE(place > (kind.whole ? places_end : machine->scan.limit))) {      \
            place = kind.whole ? NULL : scan_more(&machine->scan, place);                          \
            if (place == NULL) return false;                                                       \
        }                                                                                          \
    } while (0)

/* A value, if it is no container: those go on elsewhere. */
#define MACHINE_VALUE()                                                                            \
    do {                                                                                           \
        if (FAST_LIKELY(*at == '"')) {                                                             \
            const uint8_t *string = at + 1;                                                        \
            MACHINE_NEXT();                                                                        \
            if (!value_string_put(machine, top, kind, string, (size_t)(at - string), end)) {       \
                return false;                                                                      \
            }                                                                                      \
        } else if ((*at & 0xdf) == '[') {                                                          \
            if (*at == '{') goto map_begin;                                                        \
            goto list_begin;                                                                       \
        } else if (FAST_RARE(!scalar_read(at, text + *place, slice, top))) {                       \
            return false;                                                                          \
        }                                                                                          \
        top++;                                                                                     \
    } while (0)

/* The root has ended: the builder is told. */
static FAST_INLINE void root_end(struct machine *machine, const struct run *run)
{
    struct sl_builder *builder = &machine->builder;
    builder->depth = 0;
    builder->depth_max = (uint32_t)(machine->deepest - machine->levels);
    builder->buf->cells_count = (uint32_t)(run->tape - machine->cells);
}

/*
 * From place to place; the root is a container and its first place was taken. A label for each
 * state, so that each jump has a history of its own.
 *
 * slice       the text
 * places_end  of a whole text; else NULL, and the scan knows
 */
static FAST_INLINE bool containers_read(struct machine *machine, const struct text_kind kind,
                                        struct sl_slice slice, const uint32_t *place,
                                        const uint32_t *places_end)
{
    const uint8_t *const text = slice.data, *const end = text + slice.size;
    struct sl_cell *top = machine->builder.stack;
    struct run run = {.first = top, .level = machine->levels};
    uint64_t seen = 0;
    memory_get(machine, &run);
    run.limit = machine->stack_limit;
    machine->levels[0].first = top;
    machine->deepest = machine->levels;
    machine->repeated = false;
    const uint8_t *at = text + place[-1];
    if (*at == '[') goto list_begin;

map_begin:
    top = container_begin(machine, &run, top, seen, SL_VALUE_MAP);
    if (FAST_RARE(top == NULL)) return false;
    seen = 0;
    MACHINE_AHEAD(true);
    MACHINE_NEXT();
    if (FAST_LIKELY(*at == '"')) goto key;
    goto map_end;
map_after:
    MACHINE_NEXT();
    if (FAST_RARE(*at != ',')) goto map_end;
    MACHINE_AHEAD(!kind.whole);
    MACHINE_NEXT();
    if (FAST_RARE(*at != '"')) return false;
key : {
    const uint8_t *begin = at + 1;
    top = run_check(machine, &run, top);
    if (FAST_RARE(top == NULL)) return false;
    MACHINE_NEXT();
    if (!key_put(machine, &run, top, &seen, kind, begin, (size_t)(at - begin), end)) return false;
    top++;
    MACHINE_NEXT();
    if (FAST_RARE(*at != ':')) return false;
    MACHINE_NEXT();
    MACHINE_VALUE();
    goto map_after;
}
map_end:
    if (FAST_RARE(*at != '}')) return false;
    top = container_end(machine, &run, top, &seen, SL_VALUE_MAP);
    if (FAST_RARE(top == NULL)) return false;
    goto container_after;

list_begin:
    top = container_begin(machine, &run, top, seen, SL_VALUE_LIST);
    if (FAST_RARE(top == NULL)) return false;
    MACHINE_AHEAD(true);
    MACHINE_NEXT();
    if (FAST_RARE(*at == ']')) goto list_end;
list_item:
    top = run_check(machine, &run, top);
    if (FAST_RARE(top == NULL)) return false;
    MACHINE_VALUE();
list_after:
    MACHINE_NEXT();
    if (FAST_RARE(*at != ',')) goto list_end;
    MACHINE_AHEAD(!kind.whole);
    MACHINE_NEXT();
    goto list_item;
list_end:
    if (FAST_RARE(*at != ']')) return false;
    top = container_end(machine, &run, top, &seen, SL_VALUE_LIST);
    if (FAST_RARE(top == NULL)) return false;

container_after:
    if (run.level == machine->levels) {
        root_end(machine, &run);
        return kind.whole ? place == places_end : json_scan_is_over(&machine->scan, place);
    }
    MACHINE_AHEAD(true);
    if (run.first[-1].kind == SL_VALUE_MAP) goto map_after;
    goto list_after;
}

/* A text that is one scalar: it stands alone, so where it ends nothing else may be. */
static FAST_COLD bool scalar_text_read(struct machine *machine, const struct text_kind kind,
                                       const uint32_t *place)
{
    struct sl_builder *builder = &machine->builder;
    const uint8_t *text = machine->scan.text, *end = text + machine->scan.size;
    const uint8_t *at = text + place[-1];
    bool read;
    if (*at == '"') {
        const uint8_t *close = text + *place++;
        if (close <= at) return false;
        read =
            value_string_put(machine, builder->stack, kind, at + 1, (size_t)(close - at - 1), end);
    } else if (*at - (unsigned)'0' <= 9 || *at == '-') {
        read = number_slow(at, end, builder->stack);
    } else {
        read = literal_read(at, NULL, end, builder->stack);
    }
    return read && json_scan_is_over(&machine->scan, place);
}

/*
 * Places are found before memory is taken. In a small text there are at most half as many cells as
 * places: a comma, colon or bracket follows each, and strings have two places.
 */
static FAST_INLINE uint32_t cells_hint(const struct json_scan *scan)
{
    uint32_t cells = scan->off == scan->size ? scan->count / 2 : scan->size / MACHINE_SPACE;
    return cells + 2 * MACHINE_CHUNK;
}

/* The end of reading: the value, or what is wrong. */
static FAST_INLINE int machine_finish(struct machine *machine, bool read, struct sl_value *ret,
                                      uint32_t *ret_duplicates)
{
    struct sl_builder *builder = &machine->builder;
    builder->stack_count = 1;
    if (FAST_RARE(!read) && builder->error == 0) sl_builder_fail(builder, -EINVAL);
    if (ret_duplicates != NULL) *ret_duplicates = builder->duplicates;
    return sl_builder_finish_fast(builder, ret);
}

/*
 * What is not a plain text of one window that borrows its strings, or is a scalar. It has a machine of
 * its own: that is nearer than one that is handed over.
 *
 * first  what was found in the first window; NULL: nothing was looked for
 */
static __attribute__((noinline)) int text_read_other(struct sl_slice text, struct sl_buf *owner,
                                                     struct sl_mem *mem, uint32_t *ret_duplicates,
                                                     struct sl_value *ret,
                                                     const struct json_scan *first)
{
    struct machine machine;
    struct json_scan *scan = &machine.scan;
    if (first != NULL) {
        memcpy(scan, first, offsetof(struct json_scan, places) + first->count * sizeof(uint32_t));
    } else {
        json_scan_init(scan, text);
        scan_on(scan);
    }
    if (!json_scan_close(scan)) return -EINVAL;
    if (owner != NULL) {
        sl_builder_init_with(&machine.builder, mem, sl_buf_new_owned(mem, cells_hint(scan), owner));
    } else {
        sl_builder_init(&machine.builder, mem, cells_hint(scan), (uint32_t)text.size / 2 + 1);
    }
    if (machine.builder.error != 0) return machine.builder.error;
    const struct text_kind borrowed = {true, false}, copied = {false, false};
    const uint32_t *place = scan->places + 1;
    bool read;
    if ((text.data[place[-1]] & 0xdf) != '[') {
        read = scalar_text_read(&machine, owner != NULL ? borrowed : copied, place);
    } else if (owner == NULL) {
        read = containers_read(&machine, copied, text, place, NULL);
    } else {
        read = containers_read(&machine, borrowed, text, place, NULL);
    }
    return machine_finish(&machine, read, ret, ret_duplicates);
}

static FAST_INLINE int text_read(struct sl_slice text, struct sl_buf *owner, struct sl_mem *mem,
                                 uint32_t *ret_duplicates, struct sl_value *ret,
                                 struct sl_diag *reterr)
{
    struct machine machine;
    const uint32_t *places = machine.scan.places, *places_end = NULL;
    bool small = owner != NULL && text.size - 1 < SCAN_WINDOW;
    int result;
    if (FAST_LIKELY(small)) places_end = scan_small(&machine.scan, text);
    if (FAST_LIKELY(places_end != NULL) && FAST_LIKELY((text.data[places[0]] & 0xdf) == '[')) {
        uint32_t cells = (uint32_t)(places_end - places) / 2 + 2 * MACHINE_CHUNK;
        sl_builder_init_with(&machine.builder, mem, sl_buf_new_owned(mem, cells, owner));
        if (FAST_RARE(machine.builder.buf == NULL)) return -ENOMEM;
        const struct text_kind kind = {true, true};
        bool read = containers_read(&machine, kind, text, places + 1, places_end);
        result = machine_finish(&machine, read, ret, ret_duplicates);
    } else {
        const struct json_scan *first = small && places_end == NULL ? &machine.scan : NULL;
        result = text_read_other(text, owner, mem, ret_duplicates, ret, first);
    }
    if (FAST_LIKELY(result == 0)) return 0;
    if (reterr == NULL && (result == -EINVAL || result == -E2BIG)) return -EINVAL;
    /* Something is wrong, or too much: the stream knows what and where. */
    return json_parse_plain(text, mem, 0, ret, ret_duplicates, reterr);
}
