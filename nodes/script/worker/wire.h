/* SPDX-License-Identifier: MIT */
/*
 * What a shard and its worker say to each other: records of the two rings (io/shm), each a struct of
 * this page with a sealed packet, or text, behind it.
 *
 *     shard                                     worker
 *       │ ◄───────────────── READY ─────────────── │  fence closed
 *       │ LOAD(script) ──────────────────────────► │  once for each script
 *       │ ◄──────────────── LOADED ─────────────── │
 *       │ CALL(call, script, deadline, value) ───► │
 *       │ ◄── LOG … ◄────── ANSWER(call) ───────── │  one call at a time
 *       │ UNLOAD(script) ────────────────────────► │
 *
 * The worker trusts the shard. The shard trusts nothing: whatever is out of turn, too large or not
 * valid ends the worker.
 */
#pragma once

#include <assert.h>
#include <stdint.h>

enum wire_kind {
    WIRE_LOAD = 1, /* struct wire_load, Map */
    WIRE_UNLOAD,   /* struct wire_load */
    WIRE_CALL,     /* struct wire_call, value */
    WIRE_READY,    /* struct wire_ready */
    WIRE_LOADED,   /* struct wire_loaded, Error if not ok */
    WIRE_ANSWER,   /* struct wire_answer, value if outcome is WIRE_VALUE */
    WIRE_LOG,      /* struct wire_log, text */
};

struct wire_load {
    uint64_t script;
};

struct wire_call {
    uint64_t call;
    uint64_t script;
    uint64_t deadline_ns; /* CLOCK_MONOTONIC, which all processes share */
    uint32_t is_test;     /* a condition: the answer is WIRE_TRUE or WIRE_FALSE */
    uint32_t pad;
};

struct wire_ready {
    uint64_t data_used; /* private writable bytes when the fence closed */
    uint32_t parts;     /* enum sl_fence_part in force */
    uint32_t pad;
};

struct wire_loaded {
    uint64_t script;
    uint32_t is_ok;
    /* If not: what is wrong, in parts, for who tries it. The Error has all but the hint as one text. */
    uint32_t line;
    uint32_t column;
    uint32_t place_size; /* bytes of that text which only say where */
    char code[32];
    char hint[256];
};

enum wire_outcome { WIRE_VALUE = 1, WIRE_NO_MEMORY, WIRE_TRUE, WIRE_FALSE, WIRE_TOO_LARGE };

struct wire_answer {
    uint64_t call;
    uint32_t outcome;  /* enum wire_outcome */
    uint32_t is_tired; /* it kept memory of this call: replace it */
};

struct wire_log {
    uint64_t script;
    uint32_t level; /* enum sl_log_level */
    uint32_t pad;
};

static_assert(sizeof(struct wire_load) % 8 == 0, "the packet behind it stays aligned");
static_assert(sizeof(struct wire_call) % 8 == 0, "the packet behind it stays aligned");
static_assert(sizeof(struct wire_loaded) % 8 == 0, "the packet behind it stays aligned");
static_assert(sizeof(struct wire_answer) % 8 == 0, "the packet behind it stays aligned");

/* Command line of a worker: PROGRAM `worker` PARENT-PID; anything behind it is a test's. */
#define SL_WORKER_COMMAND "worker"
