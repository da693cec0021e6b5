/* SPDX-License-Identifier: MIT */
/*
 * What the replies of a workflow say whose version changes while it is loaded: "v17|v17|…", the
 * first word made by one node, the second by the next. Checks, for every reply:
 *
 *     whole       one version: both words are the same, and the rest is as long as it must be
 *     forwards    never older than what the same connection saw before
 *     issued      never newer than what was given out
 *
 * and keeps when each version was first and last seen, so that after the run it is known when a change
 * was visible, and when everywhere.
 *
 * Thread: each worker has its own part; issue from any one thread; the rest after the run.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/load.h"

/* Ways in which a reply can be wrong. */
#define SL_VERSIONS_FAULTS(X)                                                                      \
    X(STATUS, "status", "another status than 200")                                                 \
    X(FORM, "form", "not of the form that was stored")                                             \
    X(MIXED, "mixed", "two versions in one reply")                                                 \
    X(BACKWARDS, "backwards", "older than what the connection saw before")                         \
    X(UNKNOWN, "unknown", "a version that was not given out yet")

enum sl_versions_fault {
#define X(name, word, text) SL_VERSIONS_##name,
    SL_VERSIONS_FAULTS(X)
#undef X
        SL_VERSIONS_FAULTS_COUNT
};

enum { SL_VERSIONS_FILLER = 49 /* bytes behind the second word: a bar and dots */ };

struct sl_versions;

/*
 * workers, connections  the generator's: threads, and connections of each at most
 * versions_max          the highest that will be issued
 * returns               owned by the caller, NULL for no memory
 */
struct sl_versions *sl_versions_new(uint32_t workers, uint32_t connections, uint32_t versions_max);

/* NULL is fine; returns NULL. */
struct sl_versions *sl_versions_free(struct sl_versions *versions);

/* From now on replies may show this version. */
void sl_versions_issue(struct sl_versions *versions, uint32_t version);

/* For the generator. Borrowed from `versions`. */
const struct sl_load_probe *sl_versions_probe(struct sl_versions *versions);

/* ---- after the run ---- */

/* How many replies had this fault. */
uint64_t sl_versions_faults(const struct sl_versions *versions, enum sl_versions_fault fault);
/* How many replies were looked at. */
uint64_t sl_versions_replies(const struct sl_versions *versions);

/* The first wrong reply: its fault in words and what it said; "" if there was none. */
const char *sl_versions_first_bad(const struct sl_versions *versions);

/* The longest time between two replies of one worker, ns. */
uint64_t sl_versions_gap_ns(const struct sl_versions *versions);

/* Get ready for the two below. */
void sl_versions_sum(struct sl_versions *versions);

/* When a reply first showed this version or a later one; 0: never. */
uint64_t sl_versions_first_ns(const struct sl_versions *versions, uint32_t version);

/* When a reply last showed an earlier one; 0: never. */
uint64_t sl_versions_old_ns(const struct sl_versions *versions, uint32_t version);

/* The name of a fault for programs; static. */
const char *sl_versions_fault_word(enum sl_versions_fault fault);
/* A fault for people; static. */
const char *sl_versions_fault_text(enum sl_versions_fault fault);
