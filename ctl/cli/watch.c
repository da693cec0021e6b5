/* SPDX-License-Identifier: MIT */
#include "ctl/cli/watch.h"

#include <fts.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/assertion.h"
#include "core/base/clock.h"
#include "core/base/hash.h"

enum { WATCH_STEP_MS = 150 };

/* Adds up, so that the order in which a folder is read does not count. */
static uint64_t entry_hash(const FTSENT *entry)
{
    const struct stat *st = entry->fts_statp;
    struct {
        uint64_t path;
        uint64_t inode;
        uint64_t size;
        uint64_t seconds;
        uint64_t nanoseconds;
    } facts = {sl_hash64(entry->fts_path, strlen(entry->fts_path)), st->st_ino,
               (uint64_t)st->st_size, (uint64_t)st->st_mtim.tv_sec, (uint64_t)st->st_mtim.tv_nsec};
    return sl_hash64(&facts, sizeof(facts));
}

static uint64_t path_hash(const char *path)
{
    char *const paths[] = {(char *)(uintptr_t)path, NULL};
    uint64_t hash = 0;
    if (strcmp(path, "-") == 0) return 0;
    FTS *fts = fts_open(paths, FTS_LOGICAL | FTS_NOCHDIR, NULL);
    if (fts == NULL) return 0;
    for (FTSENT *entry = fts_read(fts); entry != NULL; entry = fts_read(fts)) {
        if (entry->fts_level > 0 && entry->fts_name[0] == '.') {
            (void)fts_set(fts, entry, FTS_SKIP);
        } else if (entry->fts_info == FTS_F) {
            hash += entry_hash(entry);
        }
    }
    (void)fts_close(fts);
    return hash;
}

static uint64_t look(const struct cli_watch *watch)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < watch->count; i++) hash = hash * 31 + path_hash(watch->paths[i]);
    return hash;
}

static void arm(struct cli_watch *watch)
{
    sl_timer_start(&watch->loop->timers, &watch->timer,
                   watch->loop->now_ns + WATCH_STEP_MS * SL_NS_PER_MS);
}

static void on_timer(struct sl_timer *timer)
{
    struct cli_watch *watch = sl_container_of(timer, struct cli_watch, timer);
    uint64_t now = look(watch);
    if (now != watch->seen) {
        watch->seen = now;
        watch->changed = true;
    } else if (watch->changed) {
        watch->changed = false;
        watch->fn(watch->ctx);
    }
    arm(watch);
}

void cli_watch_start(struct cli_watch *watch)
{
    sl_assert(watch->loop != NULL);
    sl_assert(watch->fn != NULL);
    sl_timer_init(&watch->timer, on_timer);
    watch->seen = look(watch);
    watch->changed = false;
    arm(watch);
}

void cli_watch_stop(struct cli_watch *watch)
{
    if (watch->loop == NULL) return;
    sl_timer_stop(&watch->loop->timers, &watch->timer);
}
