/* SPDX-License-Identifier: MIT */
/*
 * The entries of a journal as text, and which of them can be ours. A journal is read again after a
 * crash, by root: what it names is what will be written and removed. So it counts only whole (its
 * last line has a hash of all before it), and only if it names what tune itself may have changed.
 *
 *   sluice-tune-journal 1
 *   value PATH =BYTES HASHES      words percent-encoded, 32 hexadecimal digits
 *   end HASH
 *
 * Any thread; no state.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Behind the name of a file, and before a number: where the one before ours went. */
#define SL_TUNE_BEFORE ".before-tune."

enum sl_tune_entry_kind {
    SL_TUNE_ENTRY_VALUE,
    SL_TUNE_ENTRY_FILE,
    SL_TUNE_ENTRY_FOLDER,
    SL_TUNE_ENTRY_KINDS_COUNT
};

struct sl_tune_entry {
    enum sl_tune_entry_kind kind;
    char *path;
    char *old;          /* value: its bytes. file: where it went, or "-". folder: "-" */
    size_t old_size;    /* without the zero byte behind it */
    uint64_t hashes[2]; /* file: of the bytes that we write, and wrote before that */
};

struct sl_tune_entries {
    struct sl_tune_entry *items; /* array of count, oldest first; owned, with their texts */
    size_t count;
};

/* FNV-1a, to know our own bytes again; nothing depends on its strength. */
uint64_t sl_tune_bytes_hash(const char *data, size_t size);

/* Append; the entry's texts are owned by the list from then on. */
void sl_tune_entries_add(struct sl_tune_entries *list, struct sl_tune_entry entry);

/* Free all but the first `count`; with 0, everything. */
void sl_tune_entries_cut(struct sl_tune_entries *list, size_t count);

/*
 * True if a rule of tune may set the value at `path` (of a tree, "/proc/…"). No other is ever
 * written, whatever a journal says.
 */
bool sl_tune_value_is_ours(const char *path);

/* The text of a list; freed by the caller. */
char *sl_tune_entries_format(const struct sl_tune_entries *list, size_t *ret_size);

/*
 * Read a text into an empty list.
 * returns  0; -EBADMSG: not a whole journal; -EPERM: it names what tune never changes
 */
int sl_tune_entries_parse(struct sl_tune_entries *list, const char *text, size_t size);
