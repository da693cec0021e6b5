/* SPDX-License-Identifier: MIT */
#include "bench/versions.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"

enum { HEAD_SIZE = 64 /* of a body that is kept: two words */ };

static const struct {
    const char *word;
    const char *text;
} FAULTS[] = {
#define X(name, word, text) {word, text},
    SL_VERSIONS_FAULTS(X)
#undef X
};

struct conn {
    char head[HEAD_SIZE];
    size_t size; /* of the body so far */
    uint32_t last;
};

struct worker {
    struct conn *conns;
    uint64_t *first_ns; /* by version; 0: not seen */
    uint64_t *last_ns;
    uint64_t faults[SL_VERSIONS_FAULTS_COUNT];
    uint64_t replies;
    uint64_t reply_ns; /* of the last one */
    uint64_t gap_ns;
    char first_bad[160];
};

struct sl_versions {
    struct sl_load_probe probe;
    struct worker *workers;
    uint32_t workers_count;
    uint32_t connections;
    uint32_t versions_max;
    uint64_t *first_ns; /* summed up */
    uint64_t *old_ns;
    _Atomic uint32_t issued;
};

static void on_opened(void *ctx, uint32_t worker, uint32_t id)
{
    struct sl_versions *versions = ctx;
    /* Another connection may be another shard's. */
    versions->workers[worker].conns[id].last = 0;
    versions->workers[worker].conns[id].size = 0;
}

static void on_body(void *ctx, uint32_t worker, uint32_t id, const uint8_t *data, size_t size)
{
    struct sl_versions *versions = ctx;
    struct conn *conn = &versions->workers[worker].conns[id];
    size_t room = conn->size < HEAD_SIZE ? HEAD_SIZE - conn->size : 0;
    memcpy(conn->head + HEAD_SIZE - room, data, size < room ? size : room);
    conn->size += size;
}

/* "v17|": its number and size, or false. */
static bool word_read(const char *text, size_t size, uint32_t *ret_version, size_t *ret_size)
{
    uint64_t number = 0;
    size_t at = 1;
    if (size < 3 || text[0] != 'v') return false;
    while (at < size && text[at] >= '0' && text[at] <= '9' && at < 11) {
        number = number * 10 + (uint64_t)(text[at++] - '0');
    }
    if (at == 1 || at == size || text[at] != '|' || number > UINT32_MAX) return false;
    *ret_version = (uint32_t)number;
    *ret_size = at + 1;
    return true;
}

/* What is wrong with a reply; SL_VERSIONS_FAULTS_COUNT: nothing. */
static enum sl_versions_fault reply_judge(const struct sl_versions *versions,
                                          const struct conn *conn, uint16_t status,
                                          uint32_t *ret_version)
{
    uint32_t first;
    uint32_t second;
    size_t first_size;
    size_t second_size;
    size_t size = conn->size < HEAD_SIZE ? conn->size : HEAD_SIZE;
    if (status != 200) return SL_VERSIONS_STATUS;
    if (!word_read(conn->head, size, &first, &first_size)) return SL_VERSIONS_FORM;
    if (!word_read(conn->head + first_size, size - first_size, &second, &second_size)) {
        return SL_VERSIONS_FORM;
    }
    if (first != second) return SL_VERSIONS_MIXED;
    /* The second word's bar is the first byte of the filler. */
    if (conn->size != first_size + second_size - 1 + SL_VERSIONS_FILLER) return SL_VERSIONS_FORM;
    if (first < conn->last) return SL_VERSIONS_BACKWARDS;
    if (first > atomic_load_explicit(&versions->issued, memory_order_acquire) ||
        first > versions->versions_max) {
        return SL_VERSIONS_UNKNOWN;
    }
    *ret_version = first;
    return SL_VERSIONS_FAULTS_COUNT;
}

static void fault_note(struct worker *worker, const struct conn *conn, uint16_t status,
                       enum sl_versions_fault fault)
{
    worker->faults[fault]++;
    if (worker->first_bad[0] != '\0') return;
    int size = (int)(conn->size < HEAD_SIZE ? conn->size : HEAD_SIZE);
    (void)snprintf(worker->first_bad, sizeof(worker->first_bad), "%s: status %u, \"%.*s\"",
                   FAULTS[fault].text, status, size, conn->head);
}

static bool on_reply(void *ctx, uint32_t number, uint32_t id, uint16_t status, uint64_t now_ns)
{
    struct sl_versions *versions = ctx;
    struct worker *worker = &versions->workers[number];
    struct conn *conn = &worker->conns[id];
    uint32_t version;
    sl_assert(number < versions->workers_count);
    sl_assert(id < versions->connections);
    if (worker->reply_ns > 0 && now_ns - worker->reply_ns > worker->gap_ns) {
        worker->gap_ns = now_ns - worker->reply_ns;
    }
    worker->reply_ns = now_ns;
    worker->replies++;
    enum sl_versions_fault fault = reply_judge(versions, conn, status, &version);
    if (fault != SL_VERSIONS_FAULTS_COUNT) {
        fault_note(worker, conn, status, fault);
    } else {
        conn->last = version;
        if (worker->first_ns[version] == 0) worker->first_ns[version] = now_ns;
        worker->last_ns[version] = now_ns;
    }
    conn->size = 0;
    return fault == SL_VERSIONS_FAULTS_COUNT;
}

struct sl_versions *sl_versions_new(uint32_t workers, uint32_t connections, uint32_t versions_max)
{
    sl_assert(workers > 0);
    sl_assert(connections > 0);
    struct sl_versions *versions = calloc(1, sizeof(*versions));
    if (versions == NULL) return NULL;
    versions->probe = (struct sl_load_probe){versions, on_opened, on_body, on_reply};
    versions->connections = connections;
    versions->versions_max = versions_max;
    versions->workers = calloc(workers, sizeof(*versions->workers));
    if (versions->workers == NULL) return sl_versions_free(versions);
    versions->workers_count = workers;
    size_t slots = (size_t)versions_max + 2;
    versions->first_ns = calloc(slots, sizeof(uint64_t));
    versions->old_ns = calloc(slots, sizeof(uint64_t));
    bool ok = versions->first_ns != NULL && versions->old_ns != NULL;
    for (uint32_t i = 0; i < workers; i++) {
        struct worker *worker = &versions->workers[i];
        worker->conns = calloc(connections, sizeof(*worker->conns));
        worker->first_ns = calloc(slots, sizeof(uint64_t));
        worker->last_ns = calloc(slots, sizeof(uint64_t));
        ok = ok && worker->conns != NULL && worker->first_ns != NULL && worker->last_ns != NULL;
    }
    return ok ? versions : sl_versions_free(versions);
}

struct sl_versions *sl_versions_free(struct sl_versions *versions)
{
    if (versions == NULL) return NULL;
    for (uint32_t i = 0; i < versions->workers_count; i++) {
        free(versions->workers[i].conns);
        free(versions->workers[i].first_ns);
        free(versions->workers[i].last_ns);
    }
    free(versions->workers);
    free(versions->first_ns);
    free(versions->old_ns);
    free(versions);
    return NULL;
}

void sl_versions_issue(struct sl_versions *versions, uint32_t version)
{
    sl_assert(version <= versions->versions_max);
    /* Release pairs with the workers' acquire: given out before anybody can see it. */
    atomic_store_explicit(&versions->issued, version, memory_order_release);
}

const struct sl_load_probe *sl_versions_probe(struct sl_versions *versions)
{
    return &versions->probe;
}

uint64_t sl_versions_faults(const struct sl_versions *versions, enum sl_versions_fault fault)
{
    uint64_t sum = 0;
    sl_assert(fault < SL_VERSIONS_FAULTS_COUNT);
    for (uint32_t i = 0; i < versions->workers_count; i++)
        sum += versions->workers[i].faults[fault];
    return sum;
}

uint64_t sl_versions_replies(const struct sl_versions *versions)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < versions->workers_count; i++) sum += versions->workers[i].replies;
    return sum;
}

const char *sl_versions_first_bad(const struct sl_versions *versions)
{
    for (uint32_t i = 0; i < versions->workers_count; i++) {
        if (versions->workers[i].first_bad[0] != '\0') return versions->workers[i].first_bad;
    }
    return "";
}

uint64_t sl_versions_gap_ns(const struct sl_versions *versions)
{
    uint64_t gap_ns = 0;
    for (uint32_t i = 0; i < versions->workers_count; i++) {
        if (versions->workers[i].gap_ns > gap_ns) gap_ns = versions->workers[i].gap_ns;
    }
    return gap_ns;
}

void sl_versions_sum(struct sl_versions *versions)
{
    uint32_t max = versions->versions_max;
    for (uint32_t v = 0; v <= max; v++) {
        uint64_t first_ns = 0;
        uint64_t last_ns = 0;
        for (uint32_t i = 0; i < versions->workers_count; i++) {
            const struct worker *worker = &versions->workers[i];
            bool earlier = first_ns == 0 || worker->first_ns[v] < first_ns;
            if (worker->first_ns[v] != 0 && earlier) first_ns = worker->first_ns[v];
            if (worker->last_ns[v] > last_ns) last_ns = worker->last_ns[v];
        }
        versions->first_ns[v] = first_ns;
        versions->old_ns[v + 1] = last_ns > versions->old_ns[v] ? last_ns : versions->old_ns[v];
    }
    /* A later version that was seen earlier: this one was skipped or seen later. */
    for (uint32_t v = max; v-- > 0;) {
        uint64_t later = versions->first_ns[v + 1];
        if (later != 0 && (versions->first_ns[v] == 0 || later < versions->first_ns[v])) {
            versions->first_ns[v] = later;
        }
    }
}

uint64_t sl_versions_first_ns(const struct sl_versions *versions, uint32_t version)
{
    sl_assert(version <= versions->versions_max);
    return versions->first_ns[version];
}

uint64_t sl_versions_old_ns(const struct sl_versions *versions, uint32_t version)
{
    sl_assert(version <= versions->versions_max);
    return versions->old_ns[version];
}

const char *sl_versions_fault_word(enum sl_versions_fault fault)
{
    sl_assert(fault < SL_VERSIONS_FAULTS_COUNT);
    return FAULTS[fault].word;
}

const char *sl_versions_fault_text(enum sl_versions_fault fault)
{
    sl_assert(fault < SL_VERSIONS_FAULTS_COUNT);
    return FAULTS[fault].text;
}
