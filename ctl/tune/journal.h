/* SPDX-License-Identifier: MIT */
/*
 * The way back. Before anything is changed, what it was is written here and is on the disk; so a
 * process that is killed at any instant leaves either nothing to undo or a journal that says how.
 *
 *   value   a file of /proc or /sys: its bytes, what brings them back, and what was written
 *   file    a file of ours (sluice.yaml, a sysctl.d file): where the one before it went, or that
 *           there was none. It went there by a second link, so its inode, mode and times stay.
 *           What somebody has changed in ours since then is kept beside it
 *   folder  one that was made for such a file; it goes again if it is empty
 *
 *   begin ─► journal (new file, fsync, rename, fsync of the folder) ─► change ─► … ─► revert:
 *   newest first, then the journal is removed
 *
 * The oldest entry of a path counts: what is undone is all that was done since the last revert.
 * Reverting twice, or after a revert that was cut short, does no harm.
 *
 * One process at a time: the journal is locked while it is open. Control plane.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/diag.h"
#include "ctl/tune/tree.h"

enum {
    SL_TUNE_ENTRIES_MAX = 16384,
    SL_TUNE_OLD_SIZE_MAX = 4096, /* bytes of a value that can be kept */
};

struct sl_tune_journal;

/*
 * Open the journal `name` in the folder `dir`, which is made if it is not there, and lock it.
 *
 * tree     values are paths of it; borrowed for the life of the journal
 * dry      nothing is made, locked or written: changes are refused by assertion
 * returns  0; -EBUSY if another process has it; -EBADMSG if it is damaged; -EACCES if somebody
 *          else could have written it; -EPERM if it names what tune never changes; -errno; with
 *          reterr
 */
int sl_tune_journal_open(const struct sl_tune_tree *tree, const char *dir, const char *name,
                         bool dry, struct sl_tune_journal **ret_journal, struct sl_diag *reterr);

/* Close; what is in it stays. NULL is fine; returns NULL. */
struct sl_tune_journal *sl_tune_journal_close(struct sl_tune_journal *journal);

/* Entries: what a revert would undo. */
size_t sl_tune_journal_count(const struct sl_tune_journal *journal);

/* Path of entry `index`, from the oldest. Borrowed. */
const char *sl_tune_journal_path(const struct sl_tune_journal *journal, size_t index);

/*
 * Keep what the values at `paths` are now, in one write of the journal.
 *
 * paths    array of `count` paths of the tree that a rule sets (sl_tune_value_is_ours); those
 *          that are in it already are left out
 * returns  0; -errno with reterr, and nothing has changed
 */
int sl_tune_journal_keep(struct sl_tune_journal *journal, const char *const *paths, size_t count,
                         struct sl_diag *reterr);

/*
 * Write a value that was kept. 0; -errno with reterr: the kernel refused it.
 */
int sl_tune_journal_set(struct sl_tune_journal *journal, const char *path, const char *value,
                        struct sl_diag *reterr);

/*
 * Make or replace a file (a path of the file system, not of the tree): what stood there keeps its
 * bytes under another name beside it, named in *ret_backup (or "" if there was nothing, or if it
 * was written by us and is kept already).
 *
 * ret_backup  buffer of SL_TUNE_PATH_SIZE bytes
 * returns     0; -errno with reterr, and the file is as it was
 */
int sl_tune_journal_write(struct sl_tune_journal *journal, const char *path, const char *text,
                          size_t size, char *ret_backup, struct sl_diag *reterr);

/*
 * Put everything back and remove the journal. What cannot be put back is told one by one, stays in
 * the journal, and the rest goes on.
 *
 * told     called for each entry: 0, or -errno; may be NULL
 * returns  0; the first error
 */
int sl_tune_journal_revert(struct sl_tune_journal *journal,
                           void (*told)(void *ctx, const char *path, int result), void *ctx);

/*
 * For tests: called before every step that changes something outside this process (a write, a
 * rename, a link, an unlink), with its number from 0. NULL switches it off.
 */
void sl_tune_journal_on_step(void (*fn)(void *ctx, unsigned step), void *ctx);
