/* SPDX-License-Identifier: MIT */
/*
 * The address of a server as an author writes it:
 *
 *     http://127.0.0.1:9000/v1?a=b   http://[::1]/   http://example.org
 *     http+unix://%2Frun%2Fapp.sock/v1
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/diag.h"
#include "core/base/limit.h"
#include "core/base/slice.h"

struct sl_net_url {
    struct sl_slice authority; /* value of Host: as written; "localhost" for unix sockets */
    struct sl_slice host;      /* without brackets; size 0 for unix sockets */
    uint16_t port;
    char unix_path[SL_SOCKET_PATH_MAX + 1]; /* "" for TCP */
    struct sl_slice path;                   /* encoded, as written: "" or "/v1" or "/v1/" */
    struct sl_slice query;                  /* encoded, without the question mark */
};

/*
 * Take a URL apart. The slices point into `text`.
 * returns  0, or -EINVAL with the code, the text and perhaps the hint of `reterr` set
 */
int sl_net_url_parse(struct sl_slice text, struct sl_net_url *ret_url, struct sl_diag *reterr);
