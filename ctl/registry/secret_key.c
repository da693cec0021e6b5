/* SPDX-License-Identifier: MIT */
/*
 * The key that seals secrets: 64 hexadecimal digits, from the options or the environment, else
 * from DIR/secret.key. The file is written beside its place, synced, and linked into it: whoever
 * comes second uses the first one's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/assertion.h"
#include "ctl/registry/internal.h"

enum { KEY_DIGITS = SL_SEAL_KEY_SIZE * 2, PATH_SIZE = 4096 };

static int fail(struct sl_diag *reterr, int err, const char *path, const char *what)
{
    (void)sl_diag_set(reterr, "secret_key", (struct sl_pos){0, 0}, "key of the secrets, %s: %s",
                      path, what);
    return err;
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static bool key_parse(const char *text, uint8_t ret_key[SL_SEAL_KEY_SIZE])
{
    if (strspn(text, "0123456789abcdefABCDEF") != KEY_DIGITS) return false;
    if (text[KEY_DIGITS] != '\0' && strcmp(text + KEY_DIGITS, "\n") != 0) return false;
    for (int i = 0; i < SL_SEAL_KEY_SIZE; i++) {
        ret_key[i] = (uint8_t)(digit_value(text[2 * i]) << 4 | digit_value(text[2 * i + 1]));
    }
    return true;
}

static int key_read(const char *path, uint8_t ret_key[SL_SEAL_KEY_SIZE], struct sl_diag *reterr)
{
    char text[KEY_DIGITS + 8] = {0};
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return -errno;
    int r = fstat(fd, &st) == 0 ? 0 : -errno;
    if (r == 0 && (st.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        r = fail(reterr, -EACCES, path, "others may read it");
        sl_diag_hint(reterr, "run: chmod 600 %s", path);
    }
    if (r == 0 && read(fd, text, sizeof(text) - 1) < 0) r = -errno;
    if (r == 0 && !key_parse(text, ret_key)) {
        r = fail(reterr, -EINVAL, path, "expected 64 hexadecimal digits");
    }
    (void)close(fd);
    sl_seal_wipe(text, sizeof(text));
    return r;
}

/* Write a fresh key to a new file and sync it. */
static int key_write(struct sl_clock *clock, const char *path)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t key[SL_SEAL_KEY_SIZE];
    char text[KEY_DIGITS + 1];
    clock->random(clock, key, sizeof(key));
    for (int i = 0; i < SL_SEAL_KEY_SIZE; i++) {
        text[2 * i] = digits[key[i] >> 4];
        text[2 * i + 1] = digits[key[i] & 15];
    }
    text[KEY_DIGITS] = '\n';
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int r = fd >= 0 ? 0 : -errno;
    if (r == 0 && write(fd, text, sizeof(text)) != (ssize_t)sizeof(text)) r = -ENOSPC;
    if (r == 0 && fsync(fd) != 0) r = -errno;
    if (fd >= 0) (void)close(fd);
    sl_seal_wipe(key, sizeof(key));
    sl_seal_wipe(text, sizeof(text));
    return r;
}

static int dir_sync(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return -errno;
    int r = fsync(fd) == 0 ? 0 : -errno;
    (void)close(fd);
    return r;
}

static int key_create(struct sl_registry *registry, const char *path)
{
    char text[SL_ID_SIZE];
    char tmp[PATH_SIZE];
    struct id id;
    id_random(registry->clock, &id);
    id_format(&id, text);
    (void)snprintf(tmp, sizeof(tmp), "%s/.key-%s", registry->dir, text);
    int r = key_write(registry->clock, tmp);
    if (r == 0 && link(tmp, path) != 0 && errno != EEXIST) r = -errno;
    (void)unlink(tmp);
    return r == 0 ? dir_sync(registry->dir) : r;
}

int secret_key_load(struct sl_registry *registry, bool create, uint8_t ret_key[SL_SEAL_KEY_SIZE],
                    struct sl_diag *reterr)
{
    char path[PATH_SIZE];
    if (registry->key_text != NULL) {
        if (key_parse(registry->key_text, ret_key)) return 0;
        return fail(reterr, -EINVAL, "SLUICE_KEY", "expected 64 hexadecimal digits");
    }
    if (registry->dir == NULL) {
        registry->clock->random(registry->clock, ret_key, SL_SEAL_KEY_SIZE);
        return 0;
    }
    (void)snprintf(path, sizeof(path), "%s/secret.key", registry->dir);
    int r = key_read(path, ret_key, reterr);
    if (r == -ENOENT && create) {
        r = key_create(registry, path);
        if (r == 0) r = key_read(path, ret_key, reterr);
    }
    if (r == -ENOENT) {
        r = fail(reterr, -ENOKEY, path, "the file is missing, and secrets were sealed with it");
        sl_diag_hint(reterr, "put the file back, or set SLUICE_KEY");
    }
    return r;
}
