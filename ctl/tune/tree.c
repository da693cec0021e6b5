/* SPDX-License-Identifier: MIT */
#include "ctl/tune/tree.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/assertion.h"

int sl_tune_tree_init(struct sl_tune_tree *tree, const char *root)
{
    sl_assert(tree != NULL);
    *tree = (struct sl_tune_tree){.root = ""};
    if (root == NULL) return 0;
    size_t size = strlen(root);
    while (size > 0 && root[size - 1] == '/') size--;
    if (size >= sizeof(tree->root)) return -ENAMETOOLONG;
    memcpy(tree->root, root, size);
    return 0;
}

bool sl_tune_tree_is_live(const struct sl_tune_tree *tree)
{
    return tree->root[0] == '\0';
}

void sl_tune_path(const struct sl_tune_tree *tree, const char *path, char *buf, size_t buf_size)
{
    sl_assert(path != NULL);
    sl_assert(buf_size > 0);
    int size = snprintf(buf, buf_size, "%s%s", tree->root, path);
    if (size < 0 || (size_t)size >= buf_size) buf[0] = '\0';
}

static int file_open(const struct sl_tune_tree *tree, const char *path)
{
    char full[SL_TUNE_PATH_SIZE];
    sl_tune_path(tree, path, full, sizeof(full));
    /* Not blocking: a FIFO in somebody's copy must not hold us. */
    int fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

static ssize_t fd_read(int fd, char *buf, size_t size)
{
    size_t used = 0;
    while (used < size) {
        ssize_t got = read(fd, buf + used, size - used);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return used > 0 ? (ssize_t)used : -errno;
        if (got == 0) break;
        used += (size_t)got;
    }
    return (ssize_t)used;
}

static void text_end(char *buf, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (buf[i] == '\0') buf[i] = ' ';
    }
    buf[size] = '\0';
}

ssize_t sl_tune_read(const struct sl_tune_tree *tree, const char *path, char *buf, size_t buf_size)
{
    sl_assert(buf != NULL);
    sl_assert(buf_size > 0);
    buf[0] = '\0';
    int fd = file_open(tree, path);
    if (fd < 0) return fd;
    ssize_t size = fd_read(fd, buf, buf_size - 1);
    (void)close(fd);
    if (size < 0) {
        buf[0] = '\0';
        return size;
    }
    text_end(buf, (size_t)size);
    return size;
}

char *sl_tune_read_all(const struct sl_tune_tree *tree, const char *path)
{
    int fd = file_open(tree, path);
    if (fd < 0) return NULL;
    size_t cap = 16384;
    size_t used = 0;
    char *text = NULL;
    for (;;) {
        char *more = realloc(text, cap + 1);
        sl_assert(more != NULL);
        text = more;
        ssize_t got = fd_read(fd, text + used, cap - used);
        if (got > 0) used += (size_t)got;
        if (got <= 0 || used < cap || cap >= SL_TUNE_FILE_SIZE_MAX) break;
        cap *= 2;
    }
    (void)close(fd);
    text_end(text, used);
    return text;
}

bool sl_tune_read_line(const struct sl_tune_tree *tree, const char *path, char *buf,
                       size_t buf_size)
{
    char text[SL_TUNE_TEXT_SIZE];
    sl_assert(buf_size > 0);
    buf[0] = '\0';
    if (sl_tune_read(tree, path, text, sizeof(text)) < 0) return false;
    text[strcspn(text, "\n")] = '\0';
    const char *begin = text + strspn(text, " \t\r");
    size_t size = strlen(begin);
    while (size > 0 && isspace((unsigned char)begin[size - 1])) size--;
    (void)snprintf(buf, buf_size, "%.*s", (int)size, begin);
    return size > 0;
}

bool sl_tune_read_number(const struct sl_tune_tree *tree, const char *path, int64_t *ret_number)
{
    char text[64];
    char *end;
    if (!sl_tune_read_line(tree, path, text, sizeof(text))) return false;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0') return false;
    *ret_number = number;
    return true;
}

bool sl_tune_read_cpus(const struct sl_tune_tree *tree, const char *path, cpu_set_t *ret_set)
{
    char text[SL_TUNE_TEXT_SIZE];
    cpu_set_t set;
    if (sl_tune_read(tree, path, text, sizeof(text)) < 0) return false;
    text[strcspn(text, "\n")] = '\0';
    if (!sl_tune_cpus_parse(text, &set)) return false;
    *ret_set = set;
    return true;
}

bool sl_tune_exists(const struct sl_tune_tree *tree, const char *path)
{
    char full[SL_TUNE_PATH_SIZE];
    sl_tune_path(tree, path, full, sizeof(full));
    return access(full, F_OK) == 0;
}

static int names_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

size_t sl_tune_list(const struct sl_tune_tree *tree, const char *path, size_t max,
                    char ***ret_names)
{
    enum { NAME_SIZE = 64 };
    char full[SL_TUNE_PATH_SIZE];
    sl_assert(ret_names != NULL);
    *ret_names = NULL;
    sl_tune_path(tree, path, full, sizeof(full));
    DIR *dir = opendir(full);
    if (dir == NULL) return 0;
    char **names = malloc(max * (sizeof(*names) + NAME_SIZE));
    sl_assert(names != NULL);
    char *texts = (char *)(names + max);
    size_t count = 0;
    const struct dirent *entry;
    while (count < max && (entry = readdir(dir)) != NULL) {
        size_t size = strlen(entry->d_name);
        if (entry->d_name[0] == '.' || size >= NAME_SIZE) continue;
        names[count] = texts + count * NAME_SIZE;
        memcpy(names[count++], entry->d_name, size + 1);
    }
    (void)closedir(dir);
    if (count > 0) qsort(names, count, sizeof(*names), names_compare);
    *ret_names = names;
    return count;
}

/* ---- cores as text --------------------------------------------------------------------------- */

/* A decimal number below CPU_SETSIZE; moves *at behind it. */
static bool core_parse(const char **at, int *ret_core)
{
    int core = 0;
    if (!isdigit((unsigned char)**at)) return false;
    while (isdigit((unsigned char)**at)) {
        core = core * 10 + (**at - '0');
        if (core >= CPU_SETSIZE) return false;
        (*at)++;
    }
    *ret_core = core;
    return true;
}

bool sl_tune_cpus_parse(const char *text, cpu_set_t *ret_set)
{
    sl_assert(text != NULL);
    sl_assert(ret_set != NULL);
    cpu_set_t set;
    CPU_ZERO(&set);
    const char *at = text + strspn(text, " \t");
    while (*at != '\0' && !isspace((unsigned char)*at)) {
        int first;
        if (!core_parse(&at, &first)) return false;
        int last = first;
        if (*at == '-') {
            at++;
            if (!core_parse(&at, &last) || last < first) return false;
        }
        for (int core = first; core <= last; core++) CPU_SET((size_t)core, &set);
        if (*at == ',' && isdigit((unsigned char)at[1])) {
            at++;
        } else if (*at != '\0' && !isspace((unsigned char)*at)) {
            return false;
        }
    }
    if (at[strspn(at, " \t\r\n")] != '\0') return false;
    *ret_set = set;
    return true;
}

bool sl_tune_mask_parse(const char *text, cpu_set_t *ret_set)
{
    sl_assert(text != NULL);
    sl_assert(ret_set != NULL);
    cpu_set_t set;
    CPU_ZERO(&set);
    size_t size = strcspn(text, " \t\r\n");
    size_t bit = 0;
    if (size == 0) return false;
    for (size_t i = size; i > 0; i--) {
        char c = (char)tolower((unsigned char)text[i - 1]);
        if (c == ',') continue;
        if (!isxdigit((unsigned char)c)) return false;
        int digit = isdigit((unsigned char)c) ? c - '0' : c - 'a' + 10;
        for (size_t b = 0; b < 4; b++, bit++) {
            if (!(digit >> b & 1)) continue;
            if (bit >= CPU_SETSIZE) return false;
            CPU_SET(bit, &set);
        }
    }
    *ret_set = set;
    return true;
}

void sl_tune_cpus_format(const cpu_set_t *set, char *buf, size_t buf_size)
{
    sl_assert(set != NULL);
    sl_assert(buf_size > 0);
    size_t used = 0;
    buf[0] = '\0';
    for (size_t core = 0; core < CPU_SETSIZE && used < buf_size; core++) {
        if (!CPU_ISSET(core, set)) continue;
        size_t last = core;
        while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, set)) last++;
        char part[32];
        int size = last == core
                       ? snprintf(part, sizeof(part), "%s%zu", used > 0 ? "," : "", core)
                       : snprintf(part, sizeof(part), "%s%zu-%zu", used > 0 ? "," : "", core, last);
        if (used + (size_t)size >= buf_size) return;
        memcpy(buf + used, part, (size_t)size + 1);
        used += (size_t)size;
        core = last;
    }
}

void sl_tune_mask_format(const cpu_set_t *set, char *buf, size_t buf_size)
{
    sl_assert(set != NULL);
    sl_assert(buf_size > 0);
    int group = CPU_SETSIZE / 32 - 1;
    size_t used = 0;
    bool begun = false;
    buf[0] = '\0';
    for (; group >= 0; group--) {
        uint32_t bits = 0;
        for (size_t b = 0; b < 32; b++) {
            if (CPU_ISSET((size_t)group * 32 + b, set)) bits |= UINT32_C(1) << b;
        }
        if (!begun && bits == 0 && group > 0) continue;
        int size = snprintf(buf + used, buf_size - used, begun ? ",%08x" : "%x", bits);
        if (size < 0 || used + (size_t)size >= buf_size) return;
        used += (size_t)size;
        begun = true;
    }
}

int sl_tune_cpus_first(const cpu_set_t *set)
{
    for (size_t core = 0; core < CPU_SETSIZE; core++) {
        if (CPU_ISSET(core, set)) return (int)core;
    }
    return -1;
}

void sl_tune_choice(const char *text, char *buf, size_t buf_size)
{
    sl_assert(text != NULL);
    sl_assert(buf_size > 0);
    const char *open = strchr(text, '[');
    const char *close = open != NULL ? strchr(open, ']') : NULL;
    if (close != NULL) {
        (void)snprintf(buf, buf_size, "%.*s", (int)(close - open - 1), open + 1);
    } else {
        (void)snprintf(buf, buf_size, "%.*s", (int)strcspn(text, "\n"), text);
    }
}
