/* SPDX-License-Identifier: MIT */
/*
 * GET /trace on the control socket: options in the query, one line of JSON a request, streamed.
 *
 *   count=10 node=NAME when=CEL payload=BYTES timeout_ms=60000 unmask=1
 *
 * Control thread. Only ctl/admin/admin.c includes it.
 */
#pragma once

#include "ctl/admin/trace.h"

struct sl_http_request;
struct sl_loader;
struct sl_program;

struct admin_trace {
    struct sl_traces *traces;
    struct sl_http_request *request; /* who asks, or NULL */
    bool is_streaming;
};

/*
 * Begin, or answer what is wrong. A node that nobody can reach is 404, with the nearest name.
 *
 * program  that runs, or NULL
 * loader   that knows what does not run, or NULL
 */
void admin_trace_request(struct admin_trace *trace, struct sl_http_request *request,
                         const struct sl_program *program, const struct sl_loader *loader);

/* The client of a request has gone; nothing happens if it is another one's. */
void admin_trace_cancel(struct admin_trace *trace, struct sl_http_request *request);
