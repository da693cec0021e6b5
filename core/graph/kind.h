/* SPDX-License-Identifier: MIT */
/*
 * Node kinds: what a kind tells the engine, and how a node is called.
 *
 * A node gets one packet at a time and says with a step what happens next:
 *
 *   ANSWER  call->value is the answer to the packet
 *   EMIT    call->value goes out of call->port; the answer that comes back is this node's answer,
 *           so the node is done (a tail call: chains of such nodes need no frames)
 *   CALL    call->value goes out of call->port; `resume` gets the answer
 *   FAIL    call->value is an Error, the node's own failure: out of `error`, or the answer
 *   PARK    the node waits; somebody will call sl_frame_resume, and then `resume` runs
 *
 * Values move: on entry the node owns one count of call->value, on return the walk owns one count of
 * what stands there. A value with cell == NULL is the answer *none*; after FAIL it means that
 * there was no memory for the error.
 *
 * Everything a kind gives is immutable and shared by shards; `state` belongs to one shard.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codecs/flat/flat.h"
#include "core/base/diag.h"
#include "core/base/histogram.h"

struct sl_frame;
struct sl_kind;
struct sl_node;
struct sl_process;
struct sl_script_cost;
struct sl_shard;
struct sl_source;
struct sl_symbol;

enum sl_step { SL_STEP_ANSWER, SL_STEP_EMIT, SL_STEP_CALL, SL_STEP_FAIL, SL_STEP_PARK };

/* For call->port: the `error` port instead of an `out`. */
#define SL_PORT_ERROR UINT32_MAX

struct sl_call {
    struct sl_value value; /* in: payload; out: see the step */
    uint32_t port;         /* in: number of the `in` port; out: number of the `out` port */
    const struct sl_symbol *symbol;
    const void *config;     /* of the node */
    void *state;            /* of the node on this shard; NULL if state_size is 0 */
    struct sl_frame *frame; /* NULL if frame_size is 0 and the kind does not park */
    struct sl_process *process;
    struct sl_shard *shard;
    struct sl_mem *mem; /* the shard's */
};

typedef enum sl_step sl_node_fn(struct sl_call *call);

enum sl_kind_flags {
    SL_KIND_TRANSFORMS = 1, /* no edge at `out`: the output is the answer */
    SL_KIND_ROUTES = 2,     /* no edge at the chosen port: the error `no_route` */
    SL_KIND_PARKS = 4,      /* may return PARK: packets of one process are handled one by one */
    SL_KIND_FRAMES = 8,     /* needs a frame for each packet (PARKS and CALL need one) */
    SL_KIND_CONTAINER = 16, /* a block: the loader puts its children in its place */
};

/* Types of the kind's own fields, decoded by sl_config_decode. */
enum sl_field_type {
    SL_FIELD_STRING,   /* struct sl_slice, borrowed from the spec */
    SL_FIELD_INT,      /* int64_t in min..max */
    SL_FIELD_BOOL,     /* bool */
    SL_FIELD_FLOAT,    /* double */
    SL_FIELD_DURATION, /* uint64_t nanoseconds: integer = milliseconds, or text "1h30m", "250ms" */
    SL_FIELD_SIZE,     /* uint64_t bytes: integer, or text "64MiB", "16k" */
    SL_FIELD_ENUM,     /* int64_t index into `names` */
    SL_FIELD_VALUE,    /* struct sl_value, borrowed from the spec; cell == NULL if absent */
    SL_FIELD_CODE,     /* struct sl_value: a string with its position, for a language */
};

enum sl_field_flags {
    SL_FIELD_REQUIRED = 1,
    SL_FIELD_HOLDS_CODE = 2, /* scripts stand somewhere in it: never bound by placeholders */
};

struct sl_field {
    const char *name;
    enum sl_field_type type;
    uint32_t offset; /* in the config struct */
    uint32_t flags;
    int64_t min; /* numbers, durations (ns), sizes; min == max == 0: no bound */
    int64_t max;
    const char *const *names; /* SL_FIELD_ENUM: NULL-terminated */
    const char *help;         /* one line */
    const char *fallback;     /* what holds when it is absent, for people: "20ms" */
};

/* What a kind's compile function works with. Control thread. */
struct sl_compile {
    const struct sl_kind *kind;
    struct sl_value spec;    /* Map: the bound spec, with positions; lives as long as the config */
    struct sl_value env;     /* Map of bound values, or cell == NULL */
    struct sl_value secrets; /* List of the secrets that `env` is made from, or cell == NULL */
    struct sl_value ports;   /* Map: out port → edges, or cell == NULL */
    const char *name_space;
    const char *name; /* of the node, for messages */
    const char *file; /* of the spec, or "" */
    void *config;     /* zeroed, then filled from `fields` */
    struct sl_diags *diags;
    bool tries;   /* run what a load runs of a script (its top level), once, and throw it away */
    bool lenient; /* strings with placeholders are taken for right */
    bool partial; /* such a string, or a mistake, stands where it matters to the rest: no compile */
    /*
     * Where a text of the spec stands in its file: `*ret_indent` columns are cut from each of its
     * lines (block scalars). NULL: sl_value_pos is all that is known.
     */
    struct sl_pos (*locate)(void *locate_ctx, struct sl_value text, uint32_t *ret_indent);
    /* The exact place of line and column of a text; NULL: what `locate` says must do. */
    struct sl_pos (*place)(void *locate_ctx, struct sl_value text, uint32_t line, uint32_t column);
    void *locate_ctx;
    /* Told for each script whose cost is known before it runs (sluice check). May be NULL. */
    void (*cost)(void *cost_ctx, const struct sl_compile *c, struct sl_value code,
                 const struct sl_script_cost *cost);
    void *cost_ctx;
};

/* What a source counts, as far as it applies to it. */
enum { SL_SOURCE_REFUSALS = 10 };

struct sl_source_stats {
    uint64_t accepted; /* connections */
    uint64_t refused;  /* connections beyond the limit */
    uint64_t requests;
    uint64_t responses[6]; /* by class of status: [2] is 2xx */
    uint64_t bad_requests;
    uint64_t refusals[SL_SOURCE_REFUSALS]; /* that became no process, by status */
    const uint16_t *refusal_statuses;      /* array of SL_SOURCE_REFUSALS; 0: the others */
    uint64_t timeouts;
    uint64_t cancelled;
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint32_t connections; /* open now */
    uint32_t idle;
    uint32_t in_flight;          /* requests */
    struct sl_histogram latency; /* from the head of a request to the end of the turn */
};

/*
 * A source makes processes by itself (a listener). It is kept by key over all swaps.
 * All functions run on the shard's thread.
 */
struct sl_source_ops {
    /* The key ("http://127.0.0.1:8000") under which the source is kept; control thread. */
    int (*key)(const void *config, char *ret_key, size_t key_size);
    /*
     * Open, so that nobody else can have the address, and whoever comes waits; 0 or -EXXX with reterr
     * filled. Other shards may not be ready yet, or fail.
     */
    int (*open)(struct sl_source *source, const struct sl_node *node, struct sl_diag *reterr);
    /* Once: a program that names it is current. Take what comes from now on. May be NULL. */
    void (*begin)(struct sl_source *source);
    /* Stop accepting, let what is in flight end, then call sl_source_closed. */
    void (*close)(struct sl_source *source);
    /* While closing: give up what is still in flight, at once. */
    void (*abort)(struct sl_source *source);
    /* Connections or the like that are open, for status and drain. */
    uint32_t (*active)(const struct sl_source *source);
    /* Fill what it counted, zeroed before. May be NULL. */
    void (*stats)(const struct sl_source *source, struct sl_source_stats *ret_stats);
};

struct sl_kind {
    const char *name;
    const char *summary;            /* one line for help */
    const struct sl_field *fields;  /* ends with name == NULL; may be NULL */
    uint32_t config_size;           /* bytes */
    uint32_t state_size;            /* bytes, a shard */
    uint32_t frame_size;            /* bytes a frame, behind struct sl_frame */
    uint32_t flags;                 /* SL_KIND_* */
    uint32_t outs_max;              /* `out` ports: 1 = only `out`; up to SL_SPEC_PORTS_MAX */
    uint32_t ins_max;               /* `in` ports: 0 for sources */
    const char *const *error_codes; /* NULL-terminated: codes of its own failures, for counters */
    /*
     * Check what the field table cannot say and finish the config. All faults go to c->diags.
     * returns 0, or -EINVAL if at least one error was pushed. May be NULL.
     */
    int (*compile)(struct sl_compile *c);
    /* Flags that a node has beside the kind's, by its finished config: SL_KIND_PARKS. May be NULL. */
    uint32_t (*flags_of)(const void *config);
    void (*config_fini)(void *config); /* may be NULL */
    /*
     * Make this shard's state (zeroed memory of state_size). 1: a part is done, call again in
     * another turn; state_fini takes it as it is. After a failure it is not called. May be NULL.
     */
    int (*state_init)(void *state, const void *config, struct sl_shard *shard,
                      struct sl_diag *reterr);
    void (*state_fini)(void *state, const void *config, struct sl_shard *shard);
    sl_node_fn *run;
    sl_node_fn *resume; /* NULL for kinds that never CALL or PARK */
    /* Give up waiting: after this nobody may resume the frame. May be NULL. */
    void (*cancel)(struct sl_frame *frame, struct sl_shard *shard);
    const struct sl_source_ops *source; /* NULL: not a source */
};

/*
 * Add a kind to the table; before threads start, at most SL_KINDS_MAX. Names are unique.
 * nodes/kinds.c lists them all.
 */
void sl_kind_register(const struct sl_kind *kind);

/* The kind of a name, or NULL. */
const struct sl_kind *sl_kind_get(const char *name);

/* All kinds: array of *ret_count. */
const struct sl_kind *const *sl_kinds_get(size_t *ret_count);

enum { SL_KINDS_MAX = 64 };

/* ------------------------------------------------------------------------------------------ */
/* For node functions                                                                           */

/* Replace call->value by an error and return SL_STEP_FAIL. */
enum sl_step sl_call_fail(struct sl_call *call, const char *code, int status, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Put an Error value (one count moves in) in place and return SL_STEP_FAIL. */
enum sl_step sl_call_fail_value(struct sl_call *call, struct sl_value error);

/* ------------------------------------------------------------------------------------------ */
/* For compile functions                                                                        */

/*
 * Decode the fields of `map` into `config` and report unknown fields, wrong types, missing ones.
 *
 * common   true for a whole spec: id, kind, namespace, name, annotations, env, ports are known
 * where    for messages: "kind \"listener\""
 * returns  0, or -EINVAL with the faults in c->diags
 */
int sl_config_decode(struct sl_compile *c, const struct sl_field *fields, struct sl_value map,
                     bool common, const char *where, void *config);

/* Push an error at the position of `at` (any value of the spec). Returns -EINVAL. */
int sl_compile_error(struct sl_compile *c, const char *code, struct sl_value at, const char *fmt,
                     ...) __attribute__((format(printf, 4, 5)));

/*
 * Parse "out", "out[3]" → 0, 3; "error" → SL_PORT_ERROR.
 * returns  0, or -EINVAL for another form or a number beyond SL_SPEC_PORTS_MAX
 */
int sl_port_parse_out(struct sl_slice name, uint32_t *ret_port);

/* Parse "in", "in[3]" → 0, 3. */
int sl_port_parse_in(struct sl_slice name, uint32_t *ret_port);
