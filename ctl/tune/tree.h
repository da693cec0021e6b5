/* SPDX-License-Identifier: MIT */
/*
 * The seam through which the machine is seen: paths below a root. The root is empty for this
 * machine, or a folder with a copy of another one's /proc, /sys and /run (a fixture of the tests,
 * or what somebody sent).
 *
 * What stands in these files is text from outside: it may be missing, cut off, of any length, or
 * nonsense. Readers here say what was not there and never fail in another way.
 *
 * Any thread; a tree has no state.
 */
#pragma once

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    SL_TUNE_PATH_SIZE = 512,
    SL_TUNE_TEXT_SIZE = 4096, /* of one short file */
    SL_TUNE_FILE_SIZE_MAX = 4 * 1024 * 1024,
};

struct sl_tune_tree {
    char root[SL_TUNE_PATH_SIZE / 2]; /* "" or a folder without a slash at its end */
};

/* root  NULL or "/": this machine. 0; -ENAMETOOLONG */
int sl_tune_tree_init(struct sl_tune_tree *tree, const char *root);

/* True if this is the machine that we run on. */
bool sl_tune_tree_is_live(const struct sl_tune_tree *tree);

/* The path in the file system of `path` ("/proc/…"), or "" if it is too long. */
void sl_tune_path(const struct sl_tune_tree *tree, const char *path, char *buf, size_t buf_size);

/*
 * Read a whole short file, at most `buf_size` - 1 bytes, and end it with a zero byte.
 * returns  bytes, or -errno; `buf` is "" then. Zero bytes inside become spaces
 */
ssize_t sl_tune_read(const struct sl_tune_tree *tree, const char *path, char *buf, size_t buf_size);

/* The same of any size up to SL_TUNE_FILE_SIZE_MAX; freed by the caller. NULL: not there. */
char *sl_tune_read_all(const struct sl_tune_tree *tree, const char *path);

/* The first line, without spaces at its ends. False and "" if there is none. */
bool sl_tune_read_line(const struct sl_tune_tree *tree, const char *path, char *buf,
                       size_t buf_size);

/* A number alone in a file. False, and *ret_number is kept, if it is none. */
bool sl_tune_read_number(const struct sl_tune_tree *tree, const char *path, int64_t *ret_number);

/* A list of cores alone in a file ("0-3,8"). False: not there or malformed; *ret_set is kept. */
bool sl_tune_read_cpus(const struct sl_tune_tree *tree, const char *path, cpu_set_t *ret_set);

/* True if there is a file or folder of that path. */
bool sl_tune_exists(const struct sl_tune_tree *tree, const char *path);

/*
 * Names in a folder, in byte order, without those that begin with a dot.
 *
 * ret_names  array of the returned count, and its strings, in one block: free() by the caller
 * returns    0..max; 0 also when there is no folder, then *ret_names is NULL
 */
size_t sl_tune_list(const struct sl_tune_tree *tree, const char *path, size_t max,
                    char ***ret_names);

/* ---- cores as text --------------------------------------------------------------------------- */

/* "0-3,8" or "" (an empty set). False for anything else; *ret_set is kept. */
bool sl_tune_cpus_parse(const char *text, cpu_set_t *ret_set);

/* "ff" or "1,0000000f" (32-bit groups, the highest first). False for anything else. */
bool sl_tune_mask_parse(const char *text, cpu_set_t *ret_set);

/* The shortest list; cut off where `buf` ends. */
void sl_tune_cpus_format(const cpu_set_t *set, char *buf, size_t buf_size);

/* As /sys/class/net/…/rps_cpus wants it. */
void sl_tune_mask_format(const cpu_set_t *set, char *buf, size_t buf_size);

/* The lowest core, or -1. */
int sl_tune_cpus_first(const cpu_set_t *set);

/* The word in brackets of "always [madvise] never", else the whole text without line end. */
void sl_tune_choice(const char *text, char *buf, size_t buf_size);
