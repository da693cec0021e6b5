/* SPDX-License-Identifier: MIT */
#include "ctl/admin/admin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/json/json.h"
#include "core/base/assertion.h"
#include "core/base/list.h"
#include "core/graph/swap.h"
#include "ctl/admin/internal.h"
#include "ctl/admin/trace_request.h"
#include "io/http/http.h"

enum { ADMIN_STEP_MS = 10, ADMIN_STOP_MS = 1000, ADMIN_CONNECTIONS_MAX = 64 };

typedef void build_fn(const struct admin_view *view, struct sl_builder *builder);

struct route {
    const char *path;
    build_fn *build; /* NULL: Prometheus text */
};

static const struct route routes[] = {
    {"/status", admin_status_build},
    {"/shards", admin_shards_build},
    {"/nodes", admin_nodes_build},
    {"/top", admin_top_build},
    {"/metrics", NULL},
};

/* A request that waits for the shards. */
struct waiting {
    struct sl_list link;
    struct sl_http_request *request;
    const struct route *route;
};

struct sl_admin {
    struct sl_admin_config cfg;
    struct sl_http_server *server;
    struct sl_collector *collector;
    struct sl_list waiting; /* for the round under way */
    struct sl_list next;    /* came while it was: for the one after */
    struct admin_trace trace;
    uint64_t started_ns;
    bool drained;
};

static const char *state_of(struct sl_admin *admin, struct sl_swap *swap)
{
    if (admin->cfg.is_draining(admin->cfg.ctx)) return "draining";
    return swap == NULL || sl_swap_current(swap) == NULL ? "starting" : "serving";
}

static struct admin_view view_make(struct sl_admin *admin)
{
    const struct sl_admin_config *cfg = &admin->cfg;
    struct admin_view view = {.cfg = cfg};
    view.swap = cfg->swap(cfg->ctx);
    view.loader = cfg->loader(cfg->ctx);
    view.program = view.swap != NULL ? sl_swap_current(view.swap) : NULL;
    view.shards = sl_collector_shards(admin->collector, &view.shards_count);
    view.uptime_ms = (cfg->control->now_ns - admin->started_ns) / SL_NS_PER_MS;
    view.state = state_of(admin, view.swap);
    return view;
}

/* ---- answers --------------------------------------------------------------------------------- */

static void respond_out(struct sl_http_request *request, int status, struct sl_slice type,
                        struct sl_out *out)
{
    if (out->error == 0) {
        sl_http_respond_bytes(request, status, NULL, 0, type, sl_slice_make(out->data, out->size));
    } else {
        sl_http_respond_bytes(request, 500, NULL, 0, SL_SLICE("text/plain; charset=utf-8"),
                              SL_SLICE("no memory\n"));
    }
    sl_out_fini(out);
}

static void respond_built(struct sl_http_request *request, int status, struct sl_builder *builder)
{
    struct sl_value value;
    struct sl_out out;
    sl_out_init(&out, NULL);
    out.error = sl_builder_finish(builder, &value);
    if (out.error == 0) {
        (void)sl_json_write(value, SL_JSON_PRETTY, &out);
        sl_out_append_byte(&out, '\n');
        sl_value_unref(value);
    }
    respond_out(request, status, SL_SLICE("application/json"), &out);
}

static void respond_state(struct sl_admin *admin, struct sl_http_request *request, int status)
{
    struct sl_builder b;
    sl_builder_init(&b, NULL, 8, 64);
    sl_build_map_begin(&b);
    admin_text(&b, "state", state_of(admin, admin->cfg.swap(admin->cfg.ctx)));
    sl_build_map_end(&b);
    respond_built(request, status, &b);
}

static void respond_text(struct sl_http_request *request, int status, struct sl_slice text)
{
    sl_http_respond_bytes(request, status, NULL, 0, SL_SLICE("text/plain; charset=utf-8"), text);
}

static void waiting_answer(const struct admin_view *view, struct waiting *waiting)
{
    struct sl_out out;
    struct sl_builder b;
    if (waiting->route->build != NULL) {
        sl_builder_init(&b, NULL, 256, 4096);
        waiting->route->build(view, &b);
        respond_built(waiting->request, 200, &b);
        return;
    }
    sl_out_init(&out, NULL);
    admin_metrics_write(view, &out);
    respond_out(waiting->request, 200, SL_SLICE("text/plain; version=0.0.4; charset=utf-8"), &out);
}

/* ---- rounds ---------------------------------------------------------------------------------- */

static void on_collected(void *ctx)
{
    struct sl_admin *admin = ctx;
    struct admin_view view = view_make(admin);
    while (!sl_list_is_empty(&admin->waiting)) {
        struct waiting *waiting = sl_container_of(admin->waiting.next, struct waiting, link);
        sl_list_remove(&waiting->link);
        waiting_answer(&view, waiting);
        free(waiting);
    }
    while (!sl_list_is_empty(&admin->next)) {
        struct sl_list *link = admin->next.next;
        sl_list_remove(link);
        sl_list_insert(&admin->waiting, link);
    }
    if (!sl_list_is_empty(&admin->waiting)) {
        sl_collector_begin(admin->collector, on_collected, admin);
    }
}

/* A round that has begun may have missed what the client wants to see: it gets the one after. */
static void request_wait(struct sl_admin *admin, struct sl_http_request *request,
                         const struct route *route)
{
    struct waiting *waiting = malloc(sizeof(*waiting));
    if (waiting == NULL) {
        respond_text(request, 503, SL_SLICE("no memory\n"));
        return;
    }
    *waiting = (struct waiting){.request = request, .route = route};
    if (sl_list_is_empty(&admin->waiting)) {
        sl_list_insert(&admin->waiting, &waiting->link);
        sl_collector_begin(admin->collector, on_collected, admin);
    } else {
        sl_list_insert(&admin->next, &waiting->link);
    }
}

static void on_request(void *ctx, struct sl_http_request *request)
{
    struct sl_admin *admin = ctx;
    struct sl_slice path = sl_http_request_path(request);
    bool is_get = request->method == SL_HTTP1_METHOD_GET || request->method == SL_HTTP1_METHOD_HEAD;
    if (sl_slice_eq_str(path, "/drain")) {
        if (request->method != SL_HTTP1_METHOD_POST) {
            respond_text(request, 405, SL_SLICE("expected POST\n"));
            return;
        }
        admin->cfg.drain(admin->cfg.ctx);
        respond_state(admin, request, 202);
        return;
    }
    if (!is_get) {
        respond_text(request, 405, SL_SLICE("expected GET\n"));
        return;
    }
    if (sl_slice_eq_str(path, "/health")) {
        const char *state = state_of(admin, admin->cfg.swap(admin->cfg.ctx));
        respond_state(admin, request, strcmp(state, "serving") == 0 ? 200 : 503);
        return;
    }
    if (sl_slice_eq_str(path, "/trace")) {
        struct sl_swap *swap = admin->cfg.swap(admin->cfg.ctx);
        admin_trace_request(&admin->trace, request, swap != NULL ? sl_swap_current(swap) : NULL,
                            admin->cfg.loader(admin->cfg.ctx));
        return;
    }
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        if (!sl_slice_eq_str(path, routes[i].path)) continue;
        request_wait(admin, request, &routes[i]);
        return;
    }
    respond_text(
        request, 404,
        SL_SLICE(
            "there are /health /status /shards /nodes /top /metrics /trace, and POST /drain\n"));
}

static void on_drained(void *ctx, struct sl_http_server *server)
{
    struct sl_admin *admin = ctx;
    (void)server;
    admin->drained = true;
}

static void on_cancel(void *ctx, struct sl_http_request *request)
{
    struct sl_admin *admin = ctx;
    admin_trace_cancel(&admin->trace, request);
}

static const struct sl_http_handler admin_handler = {
    .request = on_request, .cancel = on_cancel, .drained = on_drained};

/* ---- life ------------------------------------------------------------------------------------ */

static int admin_open(struct sl_admin *admin, struct sl_diag *reterr)
{
    const struct sl_admin_config *cfg = &admin->cfg;
    struct sl_http_server_config server_cfg = {.connections_max = ADMIN_CONNECTIONS_MAX};
    admin->collector = sl_collector_new(cfg->control, cfg->shards, cfg->shards_count);
    admin->trace.traces = sl_traces_new(cfg->control, cfg->shards, cfg->shards_count);
    admin->server = sl_http_server_new(cfg->control, &server_cfg, &admin_handler, admin);
    if (admin->collector == NULL || admin->server == NULL || admin->trace.traces == NULL) {
        return -ENOMEM;
    }
    int fd = sl_admin_path_listen(&cfg->path, reterr);
    if (fd < 0) return fd;
    int r = sl_http_server_adopt(admin->server, fd);
    if (r == 0) return 0;
    (void)close(fd);
    (void)unlink(cfg->path.text);
    return r;
}

int sl_admin_new(const struct sl_admin_config *cfg, struct sl_admin **ret_admin,
                 struct sl_diag *reterr)
{
    sl_assert(cfg != NULL);
    sl_assert(cfg->path.text[0] != '\0');
    sl_assert(cfg->drain != NULL);
    struct sl_admin *admin = calloc(1, sizeof(*admin));
    if (admin == NULL) return -ENOMEM;
    admin->cfg = *cfg;
    admin->started_ns = cfg->control->now_ns;
    sl_list_init(&admin->waiting);
    sl_list_init(&admin->next);
    int r = admin_open(admin, reterr);
    if (r < 0) {
        admin->server = sl_http_server_free(admin->server);
        admin->collector = sl_collector_free(admin->collector);
        admin->trace.traces = sl_traces_free(admin->trace.traces);
        free(admin);
        return r;
    }
    *ret_admin = admin;
    return 0;
}

const char *sl_admin_path(const struct sl_admin *admin)
{
    return admin->cfg.path.text;
}

struct sl_admin *sl_admin_free(struct sl_admin *admin)
{
    if (admin == NULL) return NULL;
    struct sl_loop *control = admin->cfg.control;
    (void)unlink(admin->cfg.path.text);
    sl_traces_stop(admin->trace.traces);
    sl_http_server_drain(admin->server);
    uint64_t abort_ns = control->now_ns + ADMIN_STOP_MS * SL_NS_PER_MS;
    bool aborted = false;
    while (!admin->drained || sl_collector_is_busy(admin->collector) ||
           sl_traces_is_busy(admin->trace.traces)) {
        sl_loop_turn(control, control->now_ns + ADMIN_STEP_MS * SL_NS_PER_MS);
        if (aborted || control->now_ns < abort_ns) continue;
        sl_http_server_abort(admin->server);
        aborted = true;
    }
    admin->server = sl_http_server_free(admin->server);
    admin->collector = sl_collector_free(admin->collector);
    admin->trace.traces = sl_traces_free(admin->trace.traces);
    free(admin);
    return NULL;
}
