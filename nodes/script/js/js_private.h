/* SPDX-License-Identifier: MIT */
/*
 * What the files of this folder share. JavaScriptCore's headers are included here and nowhere
 * outside this folder.
 */
#pragma once

#include <JavaScriptCore/JavaScript.h>

#include "nodes/script/engine.h"
#include "nodes/script/js/js.h"
#include "nodes/script/js/sourcemap.h"
#include "nodes/script/js/uses.h"

enum {
    JS_TICK_MS = 4,           /* how often a running script is looked at */
    JS_STALL_MS = 10,         /* beyond the deadline: a native call that could not be ended */
    JS_SHAPES_MAX = 512,      /* compiled object shapes of a realm */
    JS_SHAPE_KEYS_MAX = 64,   /* keys of one */
    JS_SHAPE_SIZE_MAX = 2048, /* bytes of all keys of one */
    JS_WORDS_KEPT = 65536,    /* larger result buffers are given back; the same in prelude.js */
    JS_BYTES_KEPT = 262144,
};

/* Kinds on the wire, in the low four bits of a word; the same numbers stand in prelude.js. */
enum js_wire {
    JS_WIRE_NULL,
    JS_WIRE_FALSE,
    JS_WIRE_TRUE,
    JS_WIRE_INT32,  /* the next word */
    JS_WIRE_FLOAT,  /* the next double */
    JS_WIRE_INT64,  /* two words, low first */
    JS_WIRE_UINT64, /* two words, low first */
    JS_WIRE_STRING, /* argument: UTF-16 units of the text */
    JS_WIRE_BINARY, /* argument: bytes */
    JS_WIRE_LIST,   /* argument: items, which follow */
    JS_WIRE_MAP,    /* argument: pairs; String and value follow for each */
    JS_WIRE_SHAPE,  /* argument: number of the shape; values follow */
    /* code, message, cause, data, status follow; out: first words line and column, then name */
    JS_WIRE_ERROR,
    JS_WIRE_TIME,     /* the next double: milliseconds since 1970 */
    JS_WIRE_DURATION, /* in only; the next double: milliseconds */
    JS_WIRE_ABSENT,   /* this key of a shape has no value */
};

struct js_script {
    struct sl_script base;
    char *code;            /* what the realm evaluates: wrapped, zero-terminated */
    uint32_t lines_before; /* lines of the wrapper before the compiler's first line */
    struct js_sourcemap map;
    struct js_uses uses;
    struct sl_script_source source; /* code, file and name are copies, env is a copy */
    char *file;
    char *name;
    uint64_t timeout_ns;
    size_t memory_max;
};

struct js_shape {
    uint64_t hash;
    int32_t id; /* in the prelude's array */
    uint32_t keys_count;
    uint32_t size;    /* bytes of `keys` */
    uint8_t *keys;    /* all keys, one behind the other */
    uint32_t *lens;   /* array of keys_count */
    uint16_t *hashes; /* array of keys_count, or NULL where nobody needs them */
};

/* A global object with the prelude in it. */
struct js_realm {
    JSGlobalContextRef ctx;
    JSObjectRef enter; /* functions of prelude.js, protected */
    JSObjectRef probe;
    JSObjectRef shrink;
    JSObjectRef add_shape;
    JSObjectRef set_input;
    JSObjectRef set_size_max;
    JSObjectRef keep;
    size_t size_max; /* last given to set_size_max */

    /* Result buffers; they belong to the realm's typed arrays. */
    const int32_t *words;
    const double *floats;
    const uint8_t *bytes;
    size_t words_count;
    size_t floats_count;
    size_t bytes_size;

    uint32_t input_generation; /* of the shard's input buffers, as given to set_input */
    struct js_shape *shapes;   /* hash table of JS_SHAPES_MAX * 2 */
    uint32_t shapes_count;
    uint64_t *shapes_seen;       /* hashes seen once, direct-mapped */
    struct js_shape *out_shapes; /* array of JS_SHAPES_MAX, by number; NULL before the first */
    uint32_t out_shapes_count;
};

/* Input buffers, shared by the realms of a shard. */
struct js_input {
    int32_t *words;
    double *floats;
    uint8_t *bytes;
    size_t words_count, words_cap;
    size_t floats_count, floats_cap;
    size_t bytes_size, bytes_cap;
    uint8_t *text; /* UTF-8 without zero bytes while !wide */
    size_t text_size, text_cap;
    uint16_t *wide_text; /* UTF-16 once a character outside 1..127 came */
    size_t wide_count, wide_cap;
    bool wide;
    bool failed;         /* no memory, or too large */
    uint32_t generation; /* changes with the address of words, floats or bytes */
};

/* What ended a call from outside. */
enum js_stop { JS_STOP_NONE, JS_STOP_DEADLINE, JS_STOP_MEMORY };

struct js_limit {
    uint64_t start_ns; /* CLOCK_MONOTONIC */
    uint64_t end_ns;
    uint64_t rss_idle; /* bytes, of the process, sampled between calls */
    uint64_t rss_low;  /* least seen since a collection, bytes */
    uint64_t rss_idle_ns;
    uint64_t faults_idle; /* minor faults of this thread at that time */
    uint64_t tick_cpu_ns; /* processor time of this thread at the call's last tick; 0: none yet */
    size_t memory_max;    /* growth allowed to this call */
    enum js_stop stop;
    bool armed;
    bool is_long; /* this call ran for a tick or more */
};

/*
 * A machine: used by one thread at a time, by its shard's for all its life but its birth. Scripts that
 * may evaluate strings have one of their own.
 */
struct js_shard {
    JSContextGroupRef group;
    struct js_realm *realm;
    struct js_input input;
    struct js_limit limit;
    struct js_realm *realm_entered; /* whose code runs now */
    struct sl_clock *clock;         /* of the call that runs */
    const char *node;               /* name of the node that runs */
    uint8_t *out_text;              /* scratch of the reader */
    size_t out_text_cap;
    struct sl_js_stats stats;
};

/* What a shard of the engine knows as its state. */
struct js_machines {
    struct js_shard *of[2]; /* without and with evaluation of strings; NULL: not needed yet */
};

struct js_instance {
    struct js_shard *shard;
    struct js_realm *realm;
    JSObjectRef factory;
    JSValueRef env;
    int32_t uses_shape; /* of script->uses; -1: all of the input is converted */
    uint32_t parts;     /* of attaching that are done */
};

/* The shard whose script runs on this thread: native functions find it here. */
extern _Thread_local struct js_shard *js_current;

/* realm.c: 0 with shard->realm; -ENOMEM, or -EINVAL with reterr if the prelude failed. */
int js_realm_new(struct js_shard *shard, bool allow_eval, struct sl_diag *reterr);
struct js_realm *js_realm_free(struct js_realm *realm);
/* Evaluate zero-terminated UTF-8; NULL with *ret_exception set. */
JSValueRef js_evaluate(JSContextRef ctx, const char *code, const char *url,
                       JSValueRef *ret_exception);
/* A value as UTF-8, cut to the buffer, always terminated. */
void js_value_text(JSContextRef ctx, JSValueRef value, char *buf, size_t buf_size);
JSObjectRef js_get_object(JSContextRef ctx, JSObjectRef object, const char *name);

/* host.c: an object with the native functions of the prelude. */
JSObjectRef js_host_new(JSContextRef ctx);

/*
 * utf.c: convert whole texts; what is not well-formed becomes U+FFFD.
 *
 * out      array of at least in.size units, or of count * 3 bytes
 * returns  units or bytes written
 */
size_t js_utf8_to_utf16(struct sl_slice in, uint16_t *out, bool *ret_valid);
size_t js_utf16_to_utf8(const uint16_t *in, size_t count, uint8_t *out);

/* limit.c */
void js_limit_open(struct js_shard *shard);
void js_limit_begin(struct js_shard *shard, uint64_t end_ns, uint64_t now_ns, size_t memory_max);
void js_limit_end(struct js_shard *shard);
/* Collect all garbage of a machine now; it takes milliseconds. */
void js_collect(JSContextRef ctx);
/* True if a loop that never ends was ended: once per process, on a control thread. */
bool js_limit_self_test(void);

/*
 * trap.c: true if the library's watchdog is kept from aborting the process. Once per process, after
 * the options were set and before the first machine is made; later calls only answer. Any thread.
 */
bool js_traps_open(void);

/* tape.c: append a value to the input; start with js_input_reset. */
void js_input_reset(struct js_input *input);
void js_input_fini(struct js_input *input);
void js_input_put(struct js_input *input, struct js_realm *realm, struct sl_value value);
void js_input_put_empty_map(struct js_input *input);
/* The head of a map by shape: a value or `absent` for each of its keys follows. */
void js_input_put_shape(struct js_input *input, int32_t shape);
void js_input_put_absent(struct js_input *input);
/* Tell the realm about moved buffers, and make the text: NULL for no memory. */
JSStringRef js_input_finish(struct js_input *input, struct js_realm *realm);

/* shape.c: number of a compiled shape for the keys of a Map, or -1. */
int32_t js_shape_find(struct js_realm *realm, struct sl_value map);
/* The shape of an object with these keys, for inputs; -1 if there are too many shapes. */
int32_t js_shape_make(struct js_realm *realm, const struct js_uses *uses);
/*
 * Compile a writer for an object with the keys `names` (an array of strings) and store it with its
 * number in `found`; false if they are not fit for one.
 */
bool js_shape_add_out(struct js_realm *realm, JSObjectRef names, JSObjectRef found);
void js_shapes_fini(struct js_realm *realm);

/*
 * reader.c: the value on the result wire of `realm`, whose text is `text`; one count for the caller.
 * An Error gets its position in the author's file from `script`.
 */
struct sl_value js_read_result(struct js_shard *shard, struct js_realm *realm,
                               const struct js_script *script, JSStringRef text,
                               struct sl_mem *mem);

/* js.c */
/* A copy of the source, with all that is kept of it; no code yet. NULL: no memory. */
struct js_script *js_script_new(const struct sl_engine *engine,
                                const struct sl_script_source *source);
struct js_script *js_script_drop(struct js_script *script);
/* Attach and run a script of our own some times, so that the first of somebody else is not slow. */
void js_machine_exercise(struct js_shard *shard);
/* Options of the library, in the environment: before its first machine. */
void js_options_set(void);

/* machine.c */
/*
 * The machine of a shard for scripts with or without evaluation of strings: the one it has, one that
 * was made ahead, or a new one, which takes 20 ms. *ret_machines is made if it is NULL.
 * 0, -ENOMEM, or -EINVAL with reterr. Its thread from now on is the calling one.
 */
int js_machine_get(struct js_machines **ret_machines, bool allow_eval, struct js_shard **ret_shard,
                   struct sl_diag *reterr);
/* Of engine.h: machines for `shards` shards exist, or are made now. Control thread. */
void js_prepare(const struct sl_script *script, uint32_t shards);
void js_machines_free(void *machines);

/* place.c: where line and column of what the realm evaluates stand in the author's file. */
struct sl_pos js_script_pos(const struct js_script *script, uint32_t line, uint32_t column);
/* At the end of compile, while source.place can be asked. */
void js_map_place(struct js_script *script);

/* carry.c: a compiled script to a worker process. See struct sl_engine. */
int js_save(const struct sl_script *script, struct sl_value *ret_value);
int js_load(const struct sl_script_source *source, struct sl_value saved,
            struct sl_script **ret_script, struct sl_diag *reterr);
int js_load_ts(const struct sl_script_source *source, struct sl_value saved,
               struct sl_script **ret_script, struct sl_diag *reterr);
int js_warm(void **shard_state, struct sl_diag *reterr);
