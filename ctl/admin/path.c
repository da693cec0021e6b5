/* SPDX-License-Identifier: MIT */
#include "ctl/admin/path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/assertion.h"
#include "core/base/slice.h"

enum { PATH_BACKLOG = 64, PATH_TEXT_SIZE = 4096 };

static const struct sl_pos nowhere = {0, 0};

static int path_set(struct sl_admin_path *path, const char *text, struct sl_diag *reterr)
{
    size_t size = strlen(text);
    if (size > SL_SOCKET_PATH_MAX) {
        (void)sl_diag_set(
            reterr, "path_too_long", nowhere,
            "the path of the control socket has %zu bytes, a socket's may have %d: %s", size,
            SL_SOCKET_PATH_MAX, text);
        sl_diag_hint(reterr, "give a shorter one with --control PATH");
        return -ENAMETOOLONG;
    }
    memcpy(path->text, text, size + 1);
    return 0;
}

/* A folder that is ours alone; made if it is not there. */
static int folder_make(const char *folder)
{
    struct stat st;
    if (mkdir(folder, 0700) < 0 && errno != EEXIST) return -errno;
    if (lstat(folder, &st) < 0) return -errno;
    if (!S_ISDIR(st.st_mode)) return -ENOTDIR;
    if (st.st_uid != geteuid()) return -EPERM;
    if ((st.st_mode & 077) != 0 && chmod(folder, 0700) < 0) return -errno;
    return 0;
}

int sl_admin_runtime_folder(char *folder, size_t size)
{
    const char *xdg = getenv("XDG_RUNTIME_DIR");
    unsigned uid = (unsigned)geteuid();
    int r = -ENOENT;
    if (xdg != NULL && xdg[0] == '/') {
        (void)snprintf(folder, size, "%s/sluice", xdg);
        r = folder_make(folder);
    }
    if (r < 0) {
        (void)snprintf(folder, size, "/run/user/%u/sluice", uid);
        r = folder_make(folder);
    }
    if (r < 0) {
        (void)snprintf(folder, size, "/tmp/sluice-%u", uid);
        r = folder_make(folder);
    }
    return r;
}

int sl_admin_path_make(const char *control, const char *data_dir, const char *name_space,
                       struct sl_admin_path *ret_path, struct sl_diag *reterr)
{
    sl_assert(name_space != NULL);
    sl_assert(ret_path != NULL);
    char text[PATH_TEXT_SIZE];
    char folder[PATH_TEXT_SIZE - SL_SPEC_NAME_MAX - 8];
    *ret_path = (struct sl_admin_path){.text = ""};
    if (control != NULL && strcmp(control, "none") == 0) return 0;
    if (control != NULL) return path_set(ret_path, control, reterr);
    if (strchr(name_space, '/') != NULL) {
        (void)sl_diag_set(reterr, "bad_path", nowhere,
                          "the namespace \"%s\" cannot name a control socket", name_space);
        sl_diag_hint(reterr, "give one with --control PATH");
        return -EINVAL;
    }
    if (data_dir != NULL) {
        (void)snprintf(text, sizeof(text), "%s/%s.sock", data_dir, name_space);
        return path_set(ret_path, text, reterr);
    }
    ret_path->is_default = true;
    int r = sl_admin_runtime_folder(folder, sizeof(folder));
    if (r < 0) {
        (void)sl_diag_set(reterr, "no_folder", nowhere, "no folder for the control socket: %s: %s",
                          folder, strerror(-r));
        return r;
    }
    (void)snprintf(text, sizeof(text), "%s/%s.sock", folder, name_space);
    return path_set(ret_path, text, reterr);
}

static void addr_fill(const char *path, struct sockaddr_un *ret_addr)
{
    *ret_addr = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(ret_addr->sun_path, path, strlen(path) + 1);
}

/* 0 if the path is free now; -EADDRINUSE if somebody answers there. */
static int stale_remove(const struct sockaddr_un *addr)
{
    struct stat st;
    if (lstat(addr->sun_path, &st) < 0) return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(st.st_mode)) return -EEXIST;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -errno;
    int r = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 ? -errno : 0;
    (void)close(fd);
    if (r != -ECONNREFUSED) return -EADDRINUSE;
    return unlink(addr->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

static int socket_open(const struct sockaddr_un *addr)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -errno;
    /* unix(7): the file takes the mode of the socket, so it never was open to others. */
    int r = fchmod(fd, 0600) < 0 ? -errno : 0;
    if (r == 0 && bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0) r = -errno;
    if (r == 0 && chmod(addr->sun_path, 0600) < 0) r = -errno;
    if (r == 0 && listen(fd, PATH_BACKLOG) < 0) r = -errno;
    if (r == 0) return fd;
    (void)close(fd);
    return r;
}

int sl_admin_path_listen(const struct sl_admin_path *path, struct sl_diag *reterr)
{
    sl_assert(path != NULL);
    sl_assert(path->text[0] != '\0');
    struct sockaddr_un addr;
    addr_fill(path->text, &addr);
    int r = stale_remove(&addr);
    if (r == 0) r = socket_open(&addr);
    if (r >= 0) return r;
    const char *why = r == -EADDRINUSE ? "another runtime answers there"
                      : r == -EEXIST   ? "there is a file that is no socket"
                                       : strerror(-r);
    (void)sl_diag_set(reterr, "no_control_socket", nowhere, "control socket %s: %s", path->text,
                      why);
    sl_diag_hint(reterr, "give another path with --control PATH");
    return r;
}
