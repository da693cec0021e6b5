/* SPDX-License-Identifier: MIT */
#include "ctl/tune/journal_text.h"

#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "ctl/tune/journal.h"

static const char MAGIC[] = "sluice-tune-journal 1\n";
static const char END[] = "end ";

enum { HASH_DIGITS = 16, END_SIZE = sizeof(END) - 1 + HASH_DIGITS + 1 /* line end */ };

static const char *const KIND_WORDS[] = {"value", "file", "folder"};

/* ---- what is ours ---------------------------------------------------------------------------- */

bool sl_tune_value_is_ours(const char *path)
{
    static const char *const patterns[] = {
        "/proc/irq/*/smp_affinity_list",
        "/proc/sys/kernel/io_uring_disabled",
        "/proc/sys/kernel/numa_balancing",
        "/proc/sys/net/core/busy_poll",
        "/proc/sys/net/core/somaxconn",
        "/proc/sys/net/ipv4/tcp_max_syn_backlog",
        "/proc/sys/vm/swappiness",
        "/sys/class/net/*/queues/rx-*/rps_cpus",
        "/sys/class/net/*/queues/tx-*/xps_cpus",
        "/sys/devices/system/clocksource/clocksource0/current_clocksource",
        "/sys/devices/system/cpu/cpu*/cpufreq/energy_performance_preference",
        "/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
        "/sys/devices/system/cpu/cpu*/cpuidle/state*/disable",
        "/sys/devices/system/cpu/cpufreq/boost",
        "/sys/devices/system/cpu/intel_pstate/no_turbo",
        "/sys/kernel/mm/transparent_hugepage/enabled",
        "/sys/module/haltpoll/parameters/guest_halt_poll_ns",
    };
    sl_assert(path != NULL);
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        /* A star is one name, and neither "." nor "..". */
        if (fnmatch(patterns[i], path, FNM_PATHNAME | FNM_PERIOD | FNM_NOESCAPE) == 0) return true;
    }
    return false;
}

/* ---- the list -------------------------------------------------------------------------------- */

uint64_t sl_tune_bytes_hash(const char *data, size_t size)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ (uint8_t)data[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

void sl_tune_entries_add(struct sl_tune_entries *list, struct sl_tune_entry entry)
{
    sl_assert(entry.path != NULL);
    sl_assert(entry.old != NULL);
    struct sl_tune_entry *items = realloc(list->items, (list->count + 1) * sizeof(*list->items));
    sl_assert(items != NULL);
    list->items = items;
    items[list->count++] = entry;
}

void sl_tune_entries_cut(struct sl_tune_entries *list, size_t count)
{
    sl_assert(count <= list->count);
    while (list->count > count) {
        struct sl_tune_entry *last = &list->items[--list->count];
        free(last->path);
        free(last->old);
    }
    if (list->count > 0) return;
    free(list->items);
    list->items = NULL;
}

/* ---- text ------------------------------------------------------------------------------------ */

static void text_put(FILE *out, const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)data[i];
        if (isgraph(c) && c != '%') {
            (void)fputc(c, out);
        } else {
            (void)fprintf(out, "%%%02x", c);
        }
    }
}

static int hex(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A word up to `end`, decoded; the caller frees. NULL: malformed. */
static char *text_get(const char *at, const char *end, size_t *ret_size)
{
    char *data = malloc((size_t)(end - at) + 1);
    size_t size = 0;
    sl_assert(data != NULL);
    while (at < end) {
        if (*at != '%') {
            data[size++] = *at++;
            continue;
        }
        int high = end - at > 2 ? hex(at[1]) : -1;
        int low = end - at > 2 ? hex(at[2]) : -1;
        if (high < 0 || low < 0) {
            free(data);
            return NULL;
        }
        data[size++] = (char)(high << 4 | low);
        at += 3;
    }
    data[size] = '\0';
    *ret_size = size;
    return data;
}

/* The next word of a line, ended by a space or `end`; moves *at behind it. False: there is none. */
static bool word_next(const char **at, const char *end, const char **ret_word, size_t *ret_size)
{
    if (*at >= end) return false;
    const char *space = memchr(*at, ' ', (size_t)(end - *at));
    const char *stop = space != NULL ? space : end;
    *ret_word = *at;
    *ret_size = (size_t)(stop - *at);
    *at = space != NULL ? space + 1 : end;
    return true;
}

static bool entry_is_right(const struct sl_tune_entry *entry, size_t path_size)
{
    if (entry->path == NULL || entry->old == NULL) return false;
    if (path_size == 0 || path_size >= SL_TUNE_PATH_SIZE) return false;
    if (strlen(entry->path) != path_size || entry->path[0] != '/') return false;
    if (entry->old_size > SL_TUNE_OLD_SIZE_MAX) return false;
    return entry->kind == SL_TUNE_ENTRY_VALUE || strlen(entry->old) == entry->old_size;
}

/* What tune may have changed: a value of a rule; a file whose old one went beside it. */
static bool entry_is_ours(const struct sl_tune_entry *entry)
{
    if (entry->kind == SL_TUNE_ENTRY_VALUE) return sl_tune_value_is_ours(entry->path);
    if (strcmp(entry->old, "-") == 0) return true;
    size_t size = strlen(entry->path);
    size_t word = sizeof(SL_TUNE_BEFORE) - 1;
    if (entry->kind == SL_TUNE_ENTRY_FOLDER || entry->old_size < size + word + 1) return false;
    if (memcmp(entry->old, entry->path, size) != 0) return false;
    if (memcmp(entry->old + size, SL_TUNE_BEFORE, word) != 0) return false;
    const char *number = entry->old + size + word;
    return strspn(number, "0123456789") == strlen(number);
}

/* "value PATH BYTES HASH": percent-encoded words; old bytes may be none, so it stands with "=". */
static int line_parse(struct sl_tune_entries *list, const char *line, const char *end)
{
    const char *words[4];
    size_t sizes[4];
    const char *at = line;
    for (int i = 0; i < 4; i++) {
        if (!word_next(&at, end, &words[i], &sizes[i])) return -EBADMSG;
    }
    if (at != end || sizes[2] == 0 || words[2][0] != '=' || sizes[3] != 32) return -EBADMSG;
    if (list->count == SL_TUNE_ENTRIES_MAX) return -EBADMSG;
    struct sl_tune_entry entry = {.kind = SL_TUNE_ENTRY_KINDS_COUNT};
    for (int i = 0; i < SL_TUNE_ENTRY_KINDS_COUNT; i++) {
        bool is_one =
            strlen(KIND_WORDS[i]) == sizes[0] && memcmp(words[0], KIND_WORDS[i], sizes[0]) == 0;
        if (is_one) entry.kind = (enum sl_tune_entry_kind)i;
    }
    if (entry.kind == SL_TUNE_ENTRY_KINDS_COUNT) return -EBADMSG;
    for (int i = 0; i < 32; i++) {
        int digit = hex(words[3][i]);
        if (digit < 0) return -EBADMSG;
        entry.hashes[i / 16] = entry.hashes[i / 16] << 4 | (unsigned)digit;
    }
    size_t path_size = 0;
    entry.path = text_get(words[1], words[1] + sizes[1], &path_size);
    entry.old = text_get(words[2] + 1, words[2] + sizes[2], &entry.old_size);
    bool is_right = entry_is_right(&entry, path_size);
    if (is_right && entry_is_ours(&entry)) {
        sl_tune_entries_add(list, entry);
        return 0;
    }
    free(entry.path);
    free(entry.old);
    return is_right ? -EPERM : -EBADMSG;
}

/* The last line: the hash of all bytes before it. */
static bool end_is_right(const char *text, size_t size)
{
    uint64_t hash = 0;
    const char *line = text + size - END_SIZE;
    if (memcmp(line, END, sizeof(END) - 1) != 0 || line[END_SIZE - 1] != '\n') return false;
    for (size_t i = 0; i < HASH_DIGITS; i++) {
        int digit = hex(line[sizeof(END) - 1 + i]);
        if (digit < 0) return false;
        hash = hash << 4 | (unsigned)digit;
    }
    return hash == sl_tune_bytes_hash(text, size - END_SIZE);
}

int sl_tune_entries_parse(struct sl_tune_entries *list, const char *text, size_t size)
{
    sl_assert(list != NULL);
    sl_assert(list->count == 0);
    size_t head = sizeof(MAGIC) - 1;
    if (size < head + END_SIZE || memcmp(text, MAGIC, head) != 0) return -EBADMSG;
    if (!end_is_right(text, size)) return -EBADMSG; /* cut off, or changed */
    const char *end = text + size - END_SIZE;
    for (const char *line = text + head; line < end;) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        int r = stop != NULL ? line_parse(list, line, stop) : -EBADMSG;
        if (r < 0) {
            sl_tune_entries_cut(list, 0);
            return r;
        }
        line = stop + 1;
    }
    return 0;
}

char *sl_tune_entries_format(const struct sl_tune_entries *list, size_t *ret_size)
{
    char *text = NULL;
    sl_assert(list != NULL);
    FILE *out = open_memstream(&text, ret_size);
    sl_assert(out != NULL);
    (void)fputs(MAGIC, out);
    for (size_t i = 0; i < list->count; i++) {
        const struct sl_tune_entry *entry = &list->items[i];
        (void)fprintf(out, "%s ", KIND_WORDS[entry->kind]);
        text_put(out, entry->path, strlen(entry->path));
        (void)fputs(" =", out);
        text_put(out, entry->old, entry->old_size);
        (void)fprintf(out, " %016" PRIx64 "%016" PRIx64 "\n", entry->hashes[0], entry->hashes[1]);
    }
    (void)fflush(out);
    (void)fprintf(out, "%s%016" PRIx64 "\n", END, sl_tune_bytes_hash(text, *ret_size));
    (void)fclose(out);
    return text;
}
