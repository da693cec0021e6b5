/* SPDX-License-Identifier: MIT */
/*
 * Payloads: immutable values on a tape of 16-byte cells.
 *
 *   cells   | 0: "a" | 1: Int 7 | 2: "b" | 3: List n=2 ─┐ | 4: Int 1 | 5: Int 2 | 6: Map n=2 → 0 |
 *   bytes   | a b …                     first child = 4 ┘                        ↑ root is last
 *
 * kind      len                      word
 * Null      0                        0
 * Bool      0                        0 or 1
 * Int       0                        int64
 * Uint      0                        uint64 (only above INT64_MAX: smaller ones are Int)
 * Float     0                        IEEE 754 bits
 * String    bytes                    byte offset; UTF-8 is not guaranteed, codecs check it
 * Binary    bytes                    byte offset
 * List      children                 index of the first child cell (0 where there is none)
 * Map       pairs                    index of the first key cell; key, value, key, value … in
 *                                    insertion order. Keys are Strings; their hash field is set.
 *                                    With SL_CELL_INDEXED one Binary cell follows the pairs:
 *                                    len/4 pair numbers (uint32, little endian), sorted by the
 *                                    key's hash, then its bytes, then its length
 * Error     5                        index of: code String, message String, cause (Error or
 *                                    Null), data (any), status (Int or Null)
 * Time      nanoseconds 0..999999999 seconds since 1970-01-01T00:00:00Z, int64
 * Duration  nanoseconds 0..999999999 seconds, int64 (so -0.5 s is -1 s + 500000000 ns)
 *
 * In memory only (never in sealed bytes; the verifier refuses them):
 * Ref       cell index in its owner  pointer to `struct sl_buf`: this value lives over there (never
 *                                    a Ref again, but perhaps a Lazy)
 * Lazy      index into buf->lazies   0: decoded when somebody reads it, kept beside the cells
 * and the flag SL_CELL_POINTER on String and Binary: word is an absolute address (the bytes belong
 * to an owner of the buffer, or live for ever).
 *
 * A buffer is counted by its owner thread with a plain counter; each buffer that is referred to
 * by another one (Ref, SL_CELL_POINTER) is listed among its `owners` and counted once by it.
 * Published buffers (after sl_builder_finish) are never written. Immortal buffers (constants of a
 * program) are never counted and may be read by every thread.
 *
 * Reading a part is free: a value is a pair (buffer, cell). The inline readers are in
 * flat_fast.h; this header has the types, building, and the calls that are not on a hot path.
 */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/diag.h"
#include "core/base/limit.h"
#include "core/base/slice.h"

struct sl_mem;

enum sl_value_kind {
    SL_VALUE_NULL = 0,
    SL_VALUE_BOOL,
    SL_VALUE_INT,
    SL_VALUE_UINT,
    SL_VALUE_FLOAT,
    SL_VALUE_STRING,
    SL_VALUE_BINARY,
    SL_VALUE_LIST,
    SL_VALUE_MAP,
    SL_VALUE_ERROR,
    SL_VALUE_TIME,
    SL_VALUE_DURATION,
    SL_VALUE_REF = 14,  /* in memory only */
    SL_VALUE_LAZY = 15, /* in memory only */
};

enum {
    SL_CELL_INDEXED = 1, /* a map with a sorted index behind its pairs */
    SL_CELL_POINTER = 2, /* in memory only: word is an address */
};

enum {
    SL_ERROR_CODE,
    SL_ERROR_MESSAGE,
    SL_ERROR_CAUSE,
    SL_ERROR_DATA,
    SL_ERROR_STATUS,
    SL_ERROR_CELLS
};

struct sl_cell {
    uint8_t kind;  /* enum sl_value_kind */
    uint8_t flags; /* SL_CELL_* */
    uint16_t hash; /* of a map key: sl_hash16 of its bytes; else 0 */
    uint32_t len;
    union {
        uint64_t word;
        int64_t i64;
        double f64;
        const uint8_t *ptr; /* SL_CELL_POINTER */
        struct sl_buf *ref; /* SL_VALUE_REF */
    };
};

static_assert(sizeof(struct sl_cell) == 16, "the schema says 16 bytes");

struct sl_buf;

/* A value: borrowed from its buffer. cell == NULL means "not there". */
struct sl_value {
    struct sl_buf *buf; /* NULL for the static constants null, true, false */
    const struct sl_cell *cell;
};

/*
 * A part that is decoded on first read. `decode` builds the value into a new buffer of `mem`, or an
 * Error value; it never fails otherwise except by returning a value with cell == NULL for no memory.
 */
struct sl_lazy {
    struct sl_value (*decode)(struct sl_lazy *lazy, struct sl_buf *owner);
    struct sl_value value; /* cell == NULL until decoded; then counted, dropped with the owner */
    struct sl_value raw;   /* what it decodes, e.g. a Binary cell of the owner (not counted) */
    uint32_t tag;          /* for the decoder: e.g. a content type */
};

#define SL_BUF_IMMORTAL UINT32_MAX

/*
 * The header stands in one block with its cells and bytes as long as they fit: an Int value is one
 * block of 96 bytes. Whoever reads needs `cells`, `bytes` and the counts; the rest is bookkeeping.
 */
struct sl_buf {
    uint32_t refs; /* plain counter of the owner thread, or SL_BUF_IMMORTAL */
    uint32_t cells_count;
    uint32_t cells_cap; /* 0: `cells` belong to somebody else (sl_flat_open_borrow) */
    uint32_t bytes_size;
    uint32_t bytes_cap; /* 0: `bytes` belong to somebody else */
    uint16_t owners_count;
    uint16_t lazies_count;
    struct sl_cell *cells;  /* array of cells_count */
    uint8_t *bytes;         /* array of bytes_size */
    struct sl_buf **owners; /* array of owners_count, each counted once an entry */
    struct sl_lazy *lazies; /* array of lazies_count, or NULL */
    struct sl_pos *pos;     /* array of cells_cap, or NULL: where each cell stood in its source */
    struct sl_mem *mem;     /* where it all goes back to; NULL: the heap */
    uint16_t block_units;   /* size of the header's block, in units of 16 bytes */
    uint16_t depth;         /* no value in it nests deeper, Refs followed; scalars are 0 */
    uint32_t weight;        /* no value in it has more cells, Refs followed */
};

static_assert(sizeof(struct sl_buf) == 80, "a buffer of one cell fits a block of 96 bytes");

/* Drop one count; frees at zero, with the counts on its owners. NULL and immortals are fine. */
void sl_buf_unref(struct sl_buf *buf);
void sl_buf_free_slow(struct sl_buf *buf); /* only for the inline unref in flat_fast.h */

/*
 * Make a finished buffer immortal: never counted again, readable by every thread. It must refer to
 * no mortal owner and hold no Lazy (seal and open it first). Control thread.
 */
void sl_buf_immortalize(struct sl_buf *buf);

/* Free an immortal buffer: its program is gone. */
void sl_buf_free_immortal(struct sl_buf *buf);

/* ------------------------------------------------------------------------------------------ */
/* Building                                                                                     */

/*
 * A builder writes one value into a new buffer. Children of open containers wait on a stack and
 * move to the tape when their container ends, so that they stand in a row.
 *
 * Errors are sticky: build on, and look at what sl_builder_finish returns. A builder that met
 * an error ignores what follows.
 */
struct sl_builder {
    struct sl_buf *buf;
    struct sl_mem *mem;       /* NULL: the heap */
    struct sl_cell *stack;    /* array of stack_cap; stack_inline at first */
    struct sl_pos *stack_pos; /* array of stack_cap, if track */
    uint32_t stack_count;
    uint32_t stack_cap;
    uint32_t depth;      /* open containers */
    int error;           /* 0, -ENOMEM, or -E2BIG: a limit of core/base/limit.h */
    bool track;          /* keep positions */
    bool exact;          /* Refs are weighed by walking them: the bound alone was too much */
    struct sl_pos pos;   /* position given to the next value or key, if track */
    uint32_t duplicates; /* map keys that stood twice; the last value won */
    uint32_t depth_max;
    uint64_t refs_weight; /* cells behind the Refs built so far */
    uint32_t open[128];   /* stack_count behind each open container's own cell */
    struct sl_cell stack_inline[64];
};

static_assert(sizeof(((struct sl_builder *)0)->open) / sizeof(uint32_t) == SL_PAYLOAD_DEPTH_MAX,
              "one entry for each open container");

/* Start a builder; hints in cells and bytes avoid growing. It never fails by itself. */
void sl_builder_init(struct sl_builder *builder, struct sl_mem *mem, uint32_t cells_hint,
                     uint32_t bytes_hint);

/* Keep a position for each cell from here on: set builder->pos before each value or key. */
void sl_builder_track(struct sl_builder *builder);

/* Drop everything. After sl_builder_finish it is not needed, but harmless. */
void sl_builder_fini(struct sl_builder *builder);

/*
 * End the build; exactly one value was built.
 *
 * ret_value  the root, with one count that the caller owns (sl_value_unref)
 * returns    0, -ENOMEM, or -E2BIG when a limit was reached (depth, cells, bytes); the builder is
 *            finished in every case
 */
int sl_builder_finish(struct sl_builder *builder, struct sl_value *ret_value);

/* Put a scalar: here and below the next child of the open list, key or value of the open map. */
void sl_build_null(struct sl_builder *builder);
/* Put true or false. */
void sl_build_bool(struct sl_builder *builder, bool value);
/* Put an integer. */
void sl_build_int(struct sl_builder *builder, int64_t value);
/* Put an integer without a sign. */
void sl_build_uint(struct sl_builder *builder, uint64_t value); /* becomes Int where it fits */
void sl_build_float(struct sl_builder *builder, double value);
void sl_build_time(struct sl_builder *builder, int64_t seconds, uint32_t nanoseconds);
void sl_build_duration(struct sl_builder *builder, int64_t seconds, uint32_t nanoseconds);

/* Copies the bytes. */
void sl_build_string(struct sl_builder *builder, const void *data, size_t size);
void sl_build_binary(struct sl_builder *builder, const void *data, size_t size);
void sl_build_string_str(struct sl_builder *builder, const char *str);

/* Room for `size` bytes of a string that the caller fills before the next call; NULL on error. */
uint8_t *sl_build_string_reserve(struct sl_builder *builder, size_t size);
/* Shorten the string just reserved to `size`. */
void sl_build_string_shrink(struct sl_builder *builder, size_t size);

/*
 * A string whose bytes belong to `owner` (counted once for the whole builder) or, with owner
 * NULL, live for ever. Nothing is copied.
 */
void sl_build_string_borrow(struct sl_builder *builder, struct sl_buf *owner, const void *data,
                            size_t size);
void sl_build_binary_borrow(struct sl_builder *builder, struct sl_buf *owner, const void *data,
                            size_t size);

/*
 * A value of another buffer: scalars and short strings are copied, longer strings borrowed, and
 * containers become a Ref. -E2BIG where the whole would nest deeper or, with every Ref followed,
 * have more cells than a payload may.
 */
void sl_build_value(struct sl_builder *builder, struct sl_value value);

/*
 * The part that stands at `cell` of `buf`, as sl_build_value would, but a Lazy stays undecoded: the
 * new buffer refers to it. For passing a map on with one key more.
 */
void sl_build_part(struct sl_builder *builder, struct sl_buf *buf, const struct sl_cell *cell);

/* A Lazy value: slot `lazy_index` of buf->lazies (sl_builder_lazies_reserve first). */
void sl_build_lazy(struct sl_builder *builder, uint32_t lazy_index);
/* Reserve slots; returns the array, zeroed and stable until the buffer is freed; NULL on error. */
struct sl_lazy *sl_builder_lazies_reserve(struct sl_builder *builder, uint32_t count);

/* Open a list: what is put until its end are its children. */
void sl_build_list_begin(struct sl_builder *builder);
/* Close the list that was opened last. */
void sl_build_list_end(struct sl_builder *builder);

/* In a map, keys and values alternate. A key that stands twice keeps its place and its last value. */
void sl_build_map_begin(struct sl_builder *builder);
void sl_build_map_end(struct sl_builder *builder);
void sl_build_key(struct sl_builder *builder, const void *data, size_t size);
void sl_build_key_str(struct sl_builder *builder, const char *str);
void sl_build_key_borrow(struct sl_builder *builder, struct sl_buf *owner, const void *data,
                         size_t size);

/*
 * An error value.
 *
 * code     stable word: "no_route"
 * message  sentence; what `self == "text"` compares
 * cause    an Error value, or cell == NULL
 * data     any value, or cell == NULL
 * status   100..599, or 0 for none
 */
void sl_build_error(struct sl_builder *builder, struct sl_slice code, struct sl_slice message,
                    struct sl_value cause, struct sl_value data, int status);

/*
 * The same in parts, for a decoder that meets them one after another: between begin and end exactly
 * five values are built, in the order of enum SL_ERROR_*, each of its kind.
 */
void sl_build_error_begin(struct sl_builder *builder);
void sl_build_error_end(struct sl_builder *builder);

/* ------------------------------------------------------------------------------------------ */
/* Shortcuts that make a value with one count for the caller; cell == NULL for no memory.       */

/* An Int. */
struct sl_value sl_value_new_int(struct sl_mem *mem, int64_t value);
/* A Uint, or an Int where it fits. */
struct sl_value sl_value_new_uint(struct sl_mem *mem, uint64_t value);
/* A Float. */
struct sl_value sl_value_new_float(struct sl_mem *mem, double value);
/* A String of a copy of `size` bytes, which are UTF-8. */
struct sl_value sl_value_new_string(struct sl_mem *mem, const void *data, size_t size);
/* An Error with a formatted message; `status` 100..599, or 0 for none. */
struct sl_value sl_value_new_error(struct sl_mem *mem, const char *code, int status,
                                   const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* The same error with a cause. */
struct sl_value sl_value_new_error_caused(struct sl_mem *mem, const char *code, int status,
                                          struct sl_value cause, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* ------------------------------------------------------------------------------------------ */
/* Comparing                                                                                    */

/*
 * Deep equality. Numbers of the three kinds compare by numeric value; NaN equals nothing; maps
 * compare without order; errors by code and message. Works without recursion.
 */
bool sl_value_equal(struct sl_value a, struct sl_value b);

/* Order of two numbers by value (exact over all 64 bits): -1, 0, 1, or 2 if one is NaN. */
int sl_value_compare_numbers(struct sl_value a, struct sl_value b);

/* True if the message of `error` or of any error in its chain of causes is `text`. */
bool sl_error_has_message(struct sl_value error, struct sl_slice text);

/* ------------------------------------------------------------------------------------------ */
/* Sealing: one contiguous FlatBuffer that may leave the shard                                  */

/* The envelope's fields. */
struct sl_flat_envelope {
    uint64_t process;
    uint32_t source;
    uint32_t target;
    uint32_t flags;
};

/* A value that was measured, to be sealed at once where there is room: without a second look. */
struct sl_flat_plan {
    size_t size; /* of the sealed bytes: a multiple of 8 */
    uint32_t cells;
    uint32_t bytes;
};

/* Measure. 0, -E2BIG beyond the payload limits, or -ENOMEM. */
int sl_flat_plan(struct sl_value value, struct sl_flat_plan *ret_plan);

/* Seal into `out` of plan->size bytes, aligned to 8. The plan is of this value, and just made. */
void sl_flat_seal_plan(struct sl_value value, const struct sl_flat_envelope *envelope,
                       const struct sl_flat_plan *plan, void *out);

/*
 * Bytes that sl_flat_seal will write for `value`: flattened and compacted, so that a sealed
 * `self.body` never carries the rest of its request. Lazies are decoded.
 *
 * returns  0, -E2BIG beyond the payload limits, or -ENOMEM
 */
int sl_flat_sealed_size(struct sl_value value, size_t *ret_size);

/*
 * Write `value` as a sealed Packet into `out`, of at least the size told before (a multiple of 8,
 * aligned to 8). Every byte is determined by value and envelope. 0, -ENOSPC, -E2BIG, -ENOMEM.
 */
int sl_flat_seal(struct sl_value value, const struct sl_flat_envelope *envelope, void *out,
                 size_t out_size, size_t *ret_size);

/* Heap form of the two above: `*ret_data` is freed by the caller with free(). */
int sl_flat_seal_dup(struct sl_value value, const struct sl_flat_envelope *envelope,
                     uint8_t **ret_data, size_t *ret_size);

/*
 * Verify bytes from outside: FlatBuffer structure, vectors in bounds, kinds, each range of
 * children has exactly one parent and lies before it (so there is no cycle and no sharing), depth,
 * key hashes, sorted indexes, string ranges, error cells.
 *
 * reterr   what is wrong, may be NULL
 * returns  0, -EBADMSG, or -ENOMEM (beyond 4,096 cells it needs a byte of heap for each). Never
 *          reads outside data[0..size).
 */
int sl_flat_verify(const void *data, size_t size, struct sl_diag *reterr);

/* The same, with these bytes taken from `mem` for the time of the call: for shards. */
int sl_flat_verify_in(const void *data, size_t size, struct sl_mem *mem, struct sl_diag *reterr);

/*
 * Open verified bytes as a value. The cells and bytes are copied into a new buffer of `mem`.
 * Bytes that were not verified must not be given. 0 or -ENOMEM.
 */
int sl_flat_open(const void *data, size_t size, struct sl_mem *mem,
                 struct sl_flat_envelope *ret_envelope, struct sl_value *ret_value);

/*
 * Open verified bytes in place: the buffer header is new, cells and bytes stay in `data`, which
 * must be 8-aligned, outlive the value and never change. 0 or -ENOMEM.
 */
int sl_flat_open_borrow(const void *data, size_t size, struct sl_mem *mem,
                        struct sl_flat_envelope *ret_envelope, struct sl_value *ret_value);

/*
 * A deep copy of `value` into one new self-contained buffer of `mem`: Refs followed, Lazies
 * decoded, strings copied. For what outlives its process. 0, -ENOMEM or -E2BIG.
 */
int sl_value_copy(struct sl_value value, struct sl_mem *mem, struct sl_value *ret_value);
