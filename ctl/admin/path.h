/* SPDX-License-Identifier: MIT */
/*
 * Where the control socket is.
 *
 *   --control PATH   there; "none": nowhere
 *   --data DIR       DIR/NAMESPACE.sock
 *   else             the first of $XDG_RUNTIME_DIR/sluice, /run/user/UID/sluice, /tmp/sluice-UID that
 *                    can be used, and in it NAMESPACE.sock; the folder is made, mode 0700
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/base/diag.h"
#include "core/base/limit.h"

struct sl_admin_path {
    char text[SL_SOCKET_PATH_MAX + 1]; /* "": there is to be none */
    bool is_default;                   /* in the runtime directory: others may want it too */
};

/*
 * Work out the path.
 *
 * control, data_dir  as given on the command line, or NULL
 * returns            0; -ENAMETOOLONG, -EINVAL, or -errno of the folder, with reterr
 */
int sl_admin_path_make(const char *control, const char *data_dir, const char *name_space,
                       struct sl_admin_path *ret_path, struct sl_diag *reterr);

/*
 * The first of these folders that can be used, made if missing: what a host has once for each user.
 * `folder` has `size` bytes. 0 or -errno.
 */
int sl_admin_runtime_folder(char *folder, size_t size);

/*
 * Make a listening socket at `path`, mode 0600 from the first moment. A socket file at which nobody
 * answers is replaced.
 *
 * returns  descriptor; -EADDRINUSE when somebody answers there; -errno; with reterr
 */
int sl_admin_path_listen(const struct sl_admin_path *path, struct sl_diag *reterr);
