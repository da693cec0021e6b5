/* SPDX-License-Identifier: MIT */
/*
 * Watching the registry. The revision is the truth; the doorbell is only a hint.
 *
 *     writer: commit ─▶ poke DIR/watch/<pid>-<n> (a FIFO, never waits) ─▶ fd readable
 *                                          every 500 ms without a poke ─▶ fd readable
 *     watcher: sl_watch_poll: drain the fd, read the newest revision, compare with the last seen
 *
 * A FIFO without a living reader answers ENXIO, and the writer removes it: a watcher that was
 * killed leaves nothing behind. A writer that was killed between commit and poke is covered by the
 * slow tick. Revisions may be coalesced (7, then 9); none is skipped: sl_registry_history or
 * sl_registry_diff (history.h) tells what lies between.
 * In memory the doorbell is an eventfd.
 */
#pragma once

#include <stdint.h>

#include "ctl/registry/registry.h"

struct sl_watch;

/*
 * Follow the registry from revision `from` (SL_REVISION_NEWEST: from now on).
 * If there is something newer already, the fd is readable at once. 0 or -Exxx.
 */
int sl_watch_open(struct sl_registry *registry, uint64_t from, struct sl_watch **ret_watch);

/* NULL is fine; returns NULL. */
struct sl_watch *sl_watch_close(struct sl_watch *watch);

/*
 * A descriptor for epoll, poll or io_uring: readable (POLLIN, level-triggered) when
 * sl_watch_poll should be called. Borrowed; never read it.
 */
int sl_watch_fd(const struct sl_watch *watch);

/*
 * Take the news. Never waits for a writer.
 *
 * ret_revision  newest revision; equal to the last one told if there is nothing new
 * returns       1 if it is newer than what the last call told (or `from`), 0 if not, or -Exxx
 */
int sl_watch_poll(struct sl_watch *watch, uint64_t *ret_revision);

/*
 * Wake all watches of the registry, in every process, without a new revision; they see what
 * sl_registry_meta_put left. Commits ring by themselves.
 */
void sl_registry_ring(struct sl_registry *registry);
