/* SPDX-License-Identifier: MIT */
/*
 * Files, folders and standard input to texts. Folders wait in a list of work; a folder is known by
 * device and inode, so that a circle of links is walked once.
 */
#include "ctl/loader/source.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/assertion.h"
#include "core/base/limit.h"

enum { READ_SIZE_FIRST = 16 * 1024 };

struct source_folder {
    char *path;
    size_t root_size; /* bytes of the path that was given, with its slash */
    dev_t device;
    ino_t inode;
};

struct source_walk {
    struct source_folder *folders; /* array of folders_cap; every folder seen */
    size_t folders_count;
    size_t folders_cap;
    struct sl_specs *specs;
    struct sl_diags *diags;
};

/* ------------------------------------------------------------------------------------------ */
/* One file                                                                                     */

static void report_errno(struct sl_diags *diags, const char *path, int error)
{
    struct sl_diag *diag = sl_spec_error(path, diags, "file_unreadable", (struct sl_pos){0, 0},
                                         "cannot be read: %s", strerror(error));
    if (error == ENOENT) sl_diag_hint(diag, "is the name right? It is looked up from here");
}

/* Read to the end, at most SL_SPEC_FILE_SIZE_MAX. 0, or a positive errno; EFBIG beyond. */
static int fd_read(int fd, char **ret_text, size_t *ret_size)
{
    size_t cap = READ_SIZE_FIRST;
    size_t size = 0;
    char *text = malloc(cap);
    if (text == NULL) return ENOMEM;
    for (;;) {
        ssize_t got = read(fd, text + size, cap - size);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            int error = errno;
            free(text);
            return error;
        }
        size += (size_t)got;
        if (got == 0) break;
        if (size > SL_SPEC_FILE_SIZE_MAX) {
            free(text);
            return EFBIG;
        }
        if (size < cap) continue;
        char *more = realloc(text, cap * 2);
        if (more == NULL) {
            free(text);
            return ENOMEM;
        }
        text = more;
        cap *= 2;
    }
    *ret_text = text;
    *ret_size = size;
    return 0;
}

/* True if the file is another one, or was written to, since `before`. */
static bool has_changed(const char *path, int fd, const struct stat *before, size_t size)
{
    struct stat now;
    struct stat named;
    if (fstat(fd, &now) < 0 || stat(path, &named) < 0) return true;
    bool same = now.st_size == before->st_size && (size_t)now.st_size == size &&
                now.st_mtim.tv_sec == before->st_mtim.tv_sec &&
                now.st_mtim.tv_nsec == before->st_mtim.tv_nsec;
    return !same || named.st_ino != now.st_ino || named.st_dev != now.st_dev;
}

static int text_take(struct source_walk *walk, const char *path, const char *name, char *text,
                     size_t size)
{
    struct sl_specs_place place = {.file = path, .name = name};
    const char *dot = strrchr(path, '.');
    if (dot != NULL && strcmp(dot, ".json") == 0) place.format = SL_SPECS_JSON;
    if (dot != NULL && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0)) {
        place.format = SL_SPECS_YAML;
    }
    walk->specs->files_count++;
    int result = sl_specs_read_text(sl_slice_make(text, size), &place, walk->specs, walk->diags);
    free(text);
    return result == -EINVAL ? 0 : result; /* told */
}

/* `name` is what origins say. */
static int file_read(struct source_walk *walk, const char *path, const char *name)
{
    char *text = NULL;
    size_t size = 0;
    struct stat before;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &before) < 0) {
        report_errno(walk->diags, path, errno);
        if (fd >= 0) (void)close(fd);
        return 0;
    }
    /* A pipe (a shell's <(…)) is read to its end; only a file can change under us. */
    int error = fd_read(fd, &text, &size);
    bool changed = error == 0 && S_ISREG(before.st_mode) && has_changed(path, fd, &before, size);
    (void)close(fd);
    if (error == ENOMEM) return -ENOMEM;
    if (error == EFBIG) {
        (void)sl_spec_error(path, walk->diags, "file_too_large", (struct sl_pos){0, 0},
                            "is larger than %d bytes", SL_SPEC_FILE_SIZE_MAX);
    } else if (error != 0) {
        report_errno(walk->diags, path, error);
    } else if (changed) {
        (void)sl_spec_error(path, walk->diags, "file_changing", (struct sl_pos){0, 0},
                            "changes while it is read; try again when it is written");
        free(text);
    } else {
        return text_take(walk, path, name, text, size);
    }
    return 0;
}

static int stdin_read(struct source_walk *walk)
{
    char *text = NULL;
    size_t size = 0;
    int error = fd_read(STDIN_FILENO, &text, &size);
    if (error == ENOMEM) return -ENOMEM;
    if (error == 0) return text_take(walk, "<stdin>", "-", text, size);
    if (error == EFBIG) {
        (void)sl_spec_error("<stdin>", walk->diags, "file_too_large", (struct sl_pos){0, 0},
                            "is larger than %d bytes", SL_SPEC_FILE_SIZE_MAX);
    } else {
        report_errno(walk->diags, "<stdin>", error);
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------ */
/* Folders                                                                                      */

static bool has_extension(const char *name)
{
    static const char *const extensions[] = {".yaml", ".yml", ".json"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot != NULL && i < sizeof(extensions) / sizeof(extensions[0]); i++) {
        if (strcmp(dot, extensions[i]) == 0) return true;
    }
    return false;
}

/* Take `path` into the list of work, unless that folder was seen. Takes ownership of `path`. */
static int folder_push(struct source_walk *walk, char *path, size_t root_size,
                       const struct stat *info)
{
    for (size_t i = 0; i < walk->folders_count; i++) {
        const struct source_folder *folder = &walk->folders[i];
        if (folder->device != info->st_dev || folder->inode != info->st_ino) continue;
        free(path);
        return 0;
    }
    if (walk->folders_count == SL_SPEC_FOLDERS_MAX) {
        (void)sl_spec_error(path, walk->diags, "too_many", (struct sl_pos){0, 0},
                            "more than %d folders", SL_SPEC_FOLDERS_MAX);
        free(path);
        return 0;
    }
    if (walk->folders_count == walk->folders_cap) {
        size_t cap = walk->folders_cap ? walk->folders_cap * 2 : 16;
        struct source_folder *folders = realloc(walk->folders, cap * sizeof(*folders));
        if (folders == NULL) {
            free(path);
            return -ENOMEM;
        }
        walk->folders = folders;
        walk->folders_cap = cap;
    }
    walk->folders[walk->folders_count++] =
        (struct source_folder){path, root_size, info->st_dev, info->st_ino};
    return 0;
}

/* One entry of a folder: a file to read, a folder for later, or nothing for us. */
static int entry_read(struct source_walk *walk, const char *folder, size_t root_size,
                      const char *name)
{
    struct stat info;
    char *path = NULL;
    if (name[0] == '.') return 0;
    if (asprintf(&path, "%s/%s", folder, name) < 0) return -ENOMEM;
    if (stat(path, &info) < 0) {
        if (has_extension(name)) report_errno(walk->diags, path, errno);
        free(path);
        return 0;
    }
    if (S_ISDIR(info.st_mode)) return folder_push(walk, path, root_size, &info);
    int result = 0;
    if (S_ISREG(info.st_mode) && has_extension(name)) {
        result = file_read(walk, path, path + root_size);
    }
    free(path);
    return result;
}

static int order_of(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int folder_read(struct source_walk *walk, size_t index)
{
    struct dirent **entries = NULL;
    /* The array of folders may move while entries are read; the path may not. */
    const char *path = walk->folders[index].path;
    size_t root_size = walk->folders[index].root_size;
    int count = scandir(path, &entries, NULL, order_of);
    if (count < 0) {
        if (errno == ENOMEM) return -ENOMEM;
        report_errno(walk->diags, path, errno);
        return 0;
    }
    int result = 0;
    for (int i = 0; i < count; i++) {
        if (result == 0) result = entry_read(walk, path, root_size, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return result;
}

/* A folder that was given, with all below it: its files first, then its folders in order. */
static int root_read(struct source_walk *walk, const char *path, const struct stat *info)
{
    size_t size = strlen(path);
    while (size > 1 && path[size - 1] == '/') size--;
    char *copy = strndup(path, size);
    if (copy == NULL) return -ENOMEM;
    size_t next = walk->folders_count;
    uint32_t files_before = walk->specs->files_count;
    size_t errors_before = walk->diags->errors_count;
    int result = folder_push(walk, copy, size + 1, info);
    for (; result == 0 && next < walk->folders_count; next++) result = folder_read(walk, next);
    if (result == 0 && walk->specs->files_count == files_before &&
        walk->diags->errors_count == errors_before) {
        (void)sl_spec_error(path, walk->diags, "empty_folder", (struct sl_pos){0, 0},
                            "holds no file that ends in .yaml, .yml or .json");
    }
    return result;
}

int sl_specs_read_paths(const char *const *paths, size_t count, struct sl_specs *specs,
                        struct sl_diags *diags)
{
    sl_assert(specs != NULL);
    sl_assert(diags != NULL);
    struct source_walk walk = {.specs = specs, .diags = diags};
    size_t errors_before = diags->errors_count;
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++) {
        struct stat info;
        const char *slash = strrchr(paths[i], '/');
        if (strcmp(paths[i], "-") == 0) {
            result = stdin_read(&walk);
        } else if (stat(paths[i], &info) < 0) {
            report_errno(diags, paths[i], errno);
        } else if (S_ISDIR(info.st_mode)) {
            result = root_read(&walk, paths[i], &info);
        } else {
            result = file_read(&walk, paths[i], slash ? slash + 1 : paths[i]);
        }
    }
    for (size_t i = 0; i < walk.folders_count; i++) free(walk.folders[i].path);
    free(walk.folders);
    if (result == 0 && diags->errors_count > errors_before) result = -EINVAL;
    return result;
}
