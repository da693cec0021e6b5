/* SPDX-License-Identifier: MIT */
/*
 * A program: the immutable symbol table of one namespace at one revision.
 *
 *   node      a compiled spec: kind + config. Shared by programs when nothing in it changed
 *   symbol    a node in one program, with its resolved ports
 *   instance  a program on one shard: the shard's state of each node, and the count of processes
 *
 *   program ── symbols[] ── ports[] ── edges ──► symbols
 *      └────── instances[shard] ── seats[symbol] ──► counters of the node's path on that shard
 *                                 states[symbol] ──► node's state on that shard
 *
 * Nodes and programs are made and freed by the control thread. A shard makes the seats, makes and
 * frees the states.
 */
#pragma once

#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>

#include "core/base/histogram.h"
#include "core/base/list.h"
#include "core/graph/kind.h"

struct sl_mask;
struct sl_mem;
struct sl_shard;

enum { SL_NODE_ERROR_CODES = 16 };

/*
 * What a node does on one shard, counted. Written by that shard only; read by others, relaxed.
 */
struct sl_seat {
    uint32_t in_flight; /* frames parked or waiting */
    uint64_t calls;
    uint64_t errors;                              /* own failures */
    uint64_t errors_by_code[SL_NODE_ERROR_CODES]; /* by the kind's error_codes; last: others */
    /* Time on the core, of calls that were timed: SL_LOOP_TIMED_MIN a turn, 1 of SL_LOOP_TIMED_EVERY. */
    struct sl_histogram time;
};

/*
 * The seats of all nodes that a path has had one after another: its counters never fall. Counted
 * and freed by the control thread; a shard makes its own seat when the first of them opens there.
 */
struct sl_tally {
    uint32_t refs; /* nodes */
    uint32_t shards_count;
    struct sl_seat *seats[]; /* by shard; NULL: not made yet */
};

/* A node's state on one shard; of that shard. */
struct sl_place {
    void *state;   /* of the kind, or NULL */
    uint32_t refs; /* instances of this shard that use it */
};

enum sl_placement { SL_PLACEMENT_ANY, SL_PLACEMENT_CORE };

struct sl_node {
    const struct sl_kind *kind;
    void *config;
    char *path; /* "block/child": unique in the namespace */
    char *id;   /* UUID of the spec it comes from (of the outermost block) */
    char *file; /* origin, or "" */
    struct sl_pos pos;
    struct sl_value spec; /* immortal copy that the config borrows from */
    /* List of the secrets that it is bound to, which must never be shown; or none. */
    struct sl_value secrets;
    uint64_t digest[2]; /* of the resolved configuration */
    uint32_t refs;      /* programs; control thread */
    enum sl_placement placement;
    uint32_t placement_core; /* shard number for SL_PLACEMENT_CORE */
    uint32_t shards_count;
    struct sl_tally *tally;
    struct sl_place places[]; /* by shard; written by the shard */
};

struct sl_edge {
    const struct sl_symbol *target;
    uint32_t in; /* number of the target's `in` port */
};

struct sl_port {
    const struct sl_symbol *next; /* the only edge's target; NULL if there are 0 or several */
    uint32_t next_in;
    uint32_t edges_count;
    const struct sl_edge *edges; /* array of edges_count, in the author's order */
};

enum { SL_SYMBOL_PLACED = 1 << 16 }; /* beside the kind's flags */

struct sl_symbol {
    sl_node_fn *run;
    const void *config;
    const struct sl_kind *kind;
    uint32_t flags;          /* of the kind, and SL_SYMBOL_PLACED */
    uint32_t placement_core; /* shard number, if SL_SYMBOL_PLACED */
    struct sl_port *ports;   /* array of ports_count */
    uint32_t ports_count;
    uint32_t index; /* in the program */
    struct sl_port error;
    struct sl_node *node;
};

/* A source of the program; symbol is NULL while it is inactive (it stays bound and refuses). */
struct sl_program_source {
    char *key;
    const struct sl_source_ops *ops;
    struct sl_symbol *symbol;
};

struct sl_instance {
    struct sl_program *program;
    struct sl_shard *shard;
    struct sl_seat **seats; /* array of symbols_count */
    void **states;          /* of the kinds; array of symbols_count */
    uint32_t seats_count;   /* those that are open */
    bool is_opening;        /* of the symbol after them a part of the state is there: */
    void *opening;          /* that state */
    /* Processes that run on it: written by the shard, read by the control thread. */
    alignas(128) _Atomic uint64_t pins;
};

struct sl_program {
    char *name_space;
    uint64_t revision;         /* of the registry */
    uint64_t generation;       /* counts publications of this runtime */
    struct sl_symbol *symbols; /* array of symbols_count */
    uint32_t symbols_count;
    uint32_t sources_count;
    struct sl_program_source *sources; /* array of sources_count */
    struct sl_edge *edges;
    struct sl_port *ports;
    struct sl_mask *mask; /* core/graph/mask.h: of all secrets of its nodes, or NULL */
    uint32_t shards_count;
    uint64_t deadline_ns;            /* of a process, by default */
    struct sl_instance *instances[]; /* by shard */
};

/* One edge, by numbers into the nodes given to sl_program_new. */
struct sl_link {
    uint32_t source; /* node */
    uint32_t port;   /* `out` number, or SL_PORT_ERROR */
    uint32_t target; /* node */
    uint32_t in;     /* `in` number */
};

/*
 * Make a node around a filled config, which it owns from now on (config_fini, then free).
 *
 * path, id, file   copied
 * spec             what the config borrows from: an immortal value, freed with the node, or a
 *                  counted one of the control thread, whose count moves in
 * returns          one reference for the caller, or NULL for no memory (nothing moved in)
 */
struct sl_node *sl_node_new(const struct sl_kind *kind, void *config, const char *path,
                            const char *id, const char *file, struct sl_pos pos,
                            struct sl_value spec, uint32_t shards_count);
struct sl_node *sl_node_ref(struct sl_node *node);

/*
 * Count on where `before` does, a node of the same path and kind that this one takes the place of.
 * Control thread, before the node is in a program.
 */
void sl_node_succeed(struct sl_node *node, const struct sl_node *before);

/*
 * Say what of the node's values must never be shown: a List, whose count moves in. Once,
 * before the node is in a program.
 */
void sl_node_set_secrets(struct sl_node *node, struct sl_value secrets);
/* Drop a reference; no seat may be left when the last one goes. NULL is fine; returns NULL. */
struct sl_node *sl_node_unref(struct sl_node *node);

/*
 * Link nodes into a program. Takes a reference on each node. Edges keep their order.
 *
 * nodes    array of nodes_count; links: array of links_count
 * returns  a program without instances, or NULL for no memory. Control thread.
 */
struct sl_program *sl_program_new(const char *name_space, uint64_t revision,
                                  struct sl_node *const *nodes, uint32_t nodes_count,
                                  const struct sl_link *links, uint32_t links_count,
                                  uint32_t shards_count);

/* Add the address key of a source that must stay bound although it is inactive. 0 or -ENOMEM. */
int sl_program_add_source(struct sl_program *program, const char *key,
                          const struct sl_source_ops *ops);

/* Free a program none of whose instances is left. NULL is fine; returns NULL. Control thread. */
struct sl_program *sl_program_free(struct sl_program *program);

/* The symbol of a path, or NULL. Walks the table: control thread. */
const struct sl_symbol *sl_program_find(const struct sl_program *program, const char *path);

/* ------------------------------------------------------------------------------------------ */
/* On a shard                                                                                   */

/*
 * Make the instance of `program` on `shard`, a part at a time, so that no call stalls the shard:
 * seats and states of its nodes until `budget_ns` is used up. Sources are not touched.
 *
 * returns  1 call again; 0 done; -ENOMEM, or -EINVAL with reterr (sl_instance_close cleans up)
 */
int sl_instance_open(struct sl_program *program, struct sl_shard *shard, uint64_t budget_ns,
                     struct sl_diag *reterr);

/*
 * Undo it, a part at a time: states whose last instance this was are freed. No process runs on it.
 * returns  1 call again; 0 done
 */
int sl_instance_close(struct sl_program *program, struct sl_shard *shard, uint64_t budget_ns);

/* The instance that new processes of this shard use; NULL before the first program. */
struct sl_instance *sl_instance_current(struct sl_shard *shard);

/* ------------------------------------------------------------------------------------------ */
/* Sources on a shard                                                                           */

struct sl_source {
    struct sl_list link; /* of shard->sources */
    struct sl_shard *shard;
    const struct sl_source_ops *ops;
    char *key;
    void *impl; /* of the kind */
    bool begun; /* a program that names it was current */
    bool closing;
    /* Cache: the symbol in the program that was seen last; forgotten when its instance closes. */
    struct sl_program *seen;
    const struct sl_symbol *symbol;
    void (*closed)(struct sl_source *source, void *ctx); /* told when close has ended */
    void *closed_ctx;
};

/*
 * Open the sources of `program` that this shard does not have yet. On error those opened by this
 * call are closed again. 0 or -EXXX with reterr.
 */
int sl_sources_open(struct sl_program *program, struct sl_shard *shard,
                    const struct sl_node **ret_failed, struct sl_diag *reterr);

/* Close the sources that the shard's current program does not name, begin the others. */
void sl_sources_sync(struct sl_shard *shard);

/* Close all sources: the shard drains. */
void sl_sources_close_all(struct sl_shard *shard);

/* For a kind: closing has ended; the source is unlinked and freed. */
void sl_source_closed(struct sl_source *source);

/*
 * The symbol that the source feeds in the current program, or NULL: inactive; and the instance of
 * that same program. Both come from one look at the shard's pointer: the control thread may publish
 * between two, and a process must not walk one program with the seats of another.
 *
 * ret_instance  NULL before the first program; may be NULL
 */
const struct sl_symbol *sl_source_symbol(struct sl_source *source,
                                         struct sl_instance **ret_instance);
