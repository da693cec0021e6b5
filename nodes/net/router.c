/* SPDX-License-Identifier: MIT */
/*
 * router: sends a request to the port of the route that its method and path match, with the path's
 * parameters added as `params`.
 *
 *     - kind: router
 *       routes:
 *         - {method: GET, path: '/users/:id', port: 'out[0]'}
 *
 * A path that nothing matches is answered 404, a path without the method 405 with `Allow`, OPTIONS
 * of a known path 204 with `Allow`. These are ordinary payloads: out of `error` if that has an
 * edge, else the answer.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/limit.h"
#include "core/graph/program.h"
#include "nodes/net/net.h"
#include "nodes/net/route.h"

struct router {
    struct sl_value routes;
    struct sl_routes *table;
    struct sl_value not_found;    /* constant responses, immortal */
    struct sl_value *not_allowed; /* array by leaf */
    struct sl_value *options;     /* array by leaf */
    uint16_t hash_method;
    uint16_t hash_path;
    uint16_t hash_params;
};

struct route_fields {
    struct sl_slice method;
    struct sl_slice path;
    struct sl_slice port;
};

static const struct sl_field router_fields[] = {
    {"routes", SL_FIELD_VALUE, offsetof(struct router, routes), SL_FIELD_REQUIRED, 0, 0, NULL,
     "list of {method, path, port}", NULL},
    {0},
};

static const struct sl_field fields_of_route[] = {
    {"method", SL_FIELD_STRING, offsetof(struct route_fields, method), SL_FIELD_REQUIRED, 0, 0,
     NULL, "GET, POST …", NULL},
    {"path", SL_FIELD_STRING, offsetof(struct route_fields, path), SL_FIELD_REQUIRED, 0, 0, NULL,
     "/users/:id, /files/*", NULL},
    {"port", SL_FIELD_STRING, offsetof(struct route_fields, port), SL_FIELD_REQUIRED, 0, 0, NULL,
     "out[0], out[1] …", NULL},
    {0},
};

static bool is_token(struct sl_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c < '!' || c > '~' || strchr("\"(),/:;<=>?@[\\]{}", c) != NULL) return false;
    }
    return text.size > 0;
}

/*
 * Methods are case-sensitive, and others than the known ones are allowed: "get" would never match, which
 * is a mistake; "GTE" is probably one, which is a warning.
 */
static int method_check(struct sl_compile *c, struct sl_slice method, struct sl_value at)
{
    static const char *const known[] = {"GET",   "HEAD",    "POST",  "PUT",    "DELETE",
                                        "PATCH", "OPTIONS", "TRACE", "CONNECT"};
    enum { KNOWN_COUNT = sizeof(known) / sizeof(known[0]), METHOD_SIZE = 16 };
    char text[METHOD_SIZE];
    if (method.size >= sizeof(text)) return 0;
    (void)snprintf(text, sizeof(text), "%.*s", SL_SLICE_FMT(method));
    for (size_t i = 0; i < KNOWN_COUNT; i++) {
        if (strcmp(text, known[i]) == 0) return 0;
        if (!sl_slice_eq_nocase(method, sl_slice_from_str(known[i]))) continue;
        return sl_compile_error(c, "bad_method", at,
                                "the method \"%s\" matches no request: write \"%s\"", text,
                                known[i]);
    }
    const char *nearest = sl_diag_nearest(text, known, KNOWN_COUNT);
    if (nearest == NULL) return 0;
    struct sl_diag diag = {0};
    (void)sl_diag_set(&diag, "unknown_method", sl_value_pos(at), "the method \"%s\" is unusual",
                      text);
    sl_diag_hint(&diag, "did you mean \"%s\"?", nearest);
    diag.level = SL_DIAG_WARNING;
    sl_diag_file(&diag, c->file);
    (void)sl_diags_push(c->diags, &diag);
    return 0;
}

static int route_add(struct sl_compile *c, struct router *router, struct sl_value value)
{
    struct route_fields route = {0};
    if (sl_config_decode(c, fields_of_route, value, false, "a route", &route) < 0) return -EINVAL;
    uint32_t port;
    if (sl_port_parse_out(route.port, &port) < 0 || port == SL_PORT_ERROR) {
        return sl_compile_error(c, "bad_port", sl_value_get_str(value, "port"),
                                "\"%.*s\" is not a port of a router, expected out[0] to out[%d]",
                                SL_SLICE_FMT(route.port), SL_SPEC_PORTS_MAX - 1);
    }
    if (!is_token(route.method)) {
        return sl_compile_error(c, "bad_method", sl_value_get_str(value, "method"),
                                "\"%.*s\" is not an HTTP method", SL_SLICE_FMT(route.method));
    }
    int r = method_check(c, route.method, sl_value_get_str(value, "method"));
    if (r < 0) return r;
    switch (sl_routes_add(router->table, route.method, route.path, port)) {
    case 0: return 0;
    case -EEXIST:
        return sl_compile_error(c, "duplicate_route", value, "route %.*s %.*s stands twice",
                                SL_SLICE_FMT(route.method), SL_SLICE_FMT(route.path));
    case -E2BIG:
        return sl_compile_error(c, "too_long", sl_value_get_str(value, "path"),
                                "a path has at most %d segments and %d parameters",
                                SL_ROUTE_SEGMENTS_MAX, SL_ROUTE_PARAMS_MAX);
    case -ENOMEM: return -ENOMEM;
    default:
        return sl_compile_error(c, "bad_path", sl_value_get_str(value, "path"),
                                "\"%.*s\" is not a route: it begins with \"/\", parameters are "
                                "\":name\", and \"*\" stands last",
                                SL_SLICE_FMT(route.path));
    }
}

/* A constant response; `allow` may be NULL. cell == NULL for no memory. */
static struct sl_value response_make(int status, const char *body, const char *allow)
{
    struct sl_builder b;
    struct sl_value value;
    sl_builder_init(&b, NULL, 16, 64);
    sl_build_map_begin(&b);
    sl_build_key_str(&b, "status");
    sl_build_int(&b, status);
    if (allow != NULL) {
        sl_build_key_str(&b, "header");
        sl_build_map_begin(&b);
        sl_build_key_str(&b, "Allow");
        sl_build_list_begin(&b);
        sl_build_string_str(&b, allow);
        sl_build_list_end(&b);
        sl_build_map_end(&b);
    }
    if (body != NULL) {
        sl_build_key_str(&b, "body");
        sl_build_string_str(&b, body);
    }
    sl_build_map_end(&b);
    if (sl_builder_finish(&b, &value) < 0) return sl_value_none();
    sl_buf_immortalize(value.buf);
    return value;
}

static int responses_make(struct router *router)
{
    uint32_t count = sl_routes_leaves_count(router->table);
    router->not_allowed = calloc(count + 1U, sizeof(struct sl_value));
    router->options = calloc(count + 1U, sizeof(struct sl_value));
    if (router->not_allowed == NULL || router->options == NULL) return -ENOMEM;
    router->not_found = response_make(404, "Not Found", NULL);
    if (sl_value_is_none(router->not_found)) return -ENOMEM;
    for (uint32_t i = 0; i < count; i++) {
        char allow[1024];
        sl_route_allow(sl_routes_leaf(router->table, i), allow, sizeof(allow));
        router->not_allowed[i] = response_make(405, "Method Not Allowed", allow);
        router->options[i] = response_make(204, NULL, allow);
        if (sl_value_is_none(router->not_allowed[i]) || sl_value_is_none(router->options[i])) {
            return -ENOMEM;
        }
    }
    return 0;
}

static int router_compile(struct sl_compile *c)
{
    struct router *router = c->config;
    if (!sl_value_is(router->routes, SL_VALUE_LIST)) {
        return sl_compile_error(c, "wrong_type", router->routes,
                                "\"routes\" must be a list of {method, path, port}");
    }
    router->hash_method = sl_hash16("method", 6);
    router->hash_path = sl_hash16("path", 4);
    router->hash_params = sl_hash16("params", 6);
    router->table = sl_routes_new();
    if (router->table == NULL) return -ENOMEM;
    int result = 0;
    for (uint32_t i = 0; i < sl_value_count(router->routes); i++) {
        int r = route_add(c, router, sl_value_list_at(router->routes, i));
        if (r < 0) result = r;
    }
    return result < 0 ? result : responses_make(router);
}

static void response_free(struct sl_value value)
{
    if (value.buf != NULL) sl_buf_free_immortal(value.buf);
}

static void router_fini(void *config)
{
    struct router *router = config;
    if (router->table != NULL) {
        uint32_t count = sl_routes_leaves_count(router->table);
        for (uint32_t i = 0; i < count; i++) {
            if (router->not_allowed != NULL) response_free(router->not_allowed[i]);
            if (router->options != NULL) response_free(router->options[i]);
        }
    }
    response_free(router->not_found);
    free(router->not_allowed);
    free(router->options);
    router->table = sl_routes_free(router->table);
}

/* The request again, with `params`. What it holds is referred to, not copied. */
static struct sl_value with_params(struct sl_call *call, const struct sl_route_match *match,
                                   const struct sl_route_method *method)
{
    struct sl_value map = call->value;
    struct sl_builder b;
    sl_builder_init(&b, call->mem, 2 * sl_value_count(map) + 2 * match->values_count + 4, 0);
    sl_build_map_begin(&b);
    for (uint32_t i = 0; i < sl_value_count(map); i++) {
        struct sl_slice key = sl_value_key_at(map, i);
        if (key.size == 6 && memcmp(key.data, "params", 6) == 0) continue;
        sl_build_key_borrow(&b, map.buf, key.data, key.size);
        /* The cell as it stands: a body that nobody has read stays undecoded. */
        const struct sl_cell *cell = &map.buf->cells[map.cell->word + 2 * (uint64_t)i + 1];
        sl_build_part(&b, map.buf, cell);
    }
    sl_build_key_borrow(&b, NULL, "params", 6);
    sl_build_map_begin(&b);
    for (uint32_t i = 0; i < method->params_count; i++) {
        sl_build_key(&b, method->names[i].data, method->names[i].size);
        sl_build_string_borrow(&b, map.buf, match->values[i].data, match->values[i].size);
    }
    sl_build_map_end(&b);
    sl_build_map_end(&b);
    struct sl_value value;
    return sl_builder_finish(&b, &value) < 0 ? sl_value_none() : value;
}

/* Answer with a constant response, by the error port if it leads anywhere. */
static enum sl_step respond(struct sl_call *call, struct sl_value response)
{
    sl_value_unref(call->value);
    call->value = response;
    if (call->symbol->error.edges_count == 0) return SL_STEP_ANSWER;
    call->port = SL_PORT_ERROR;
    return SL_STEP_EMIT;
}

static enum sl_step router_run(struct sl_call *call)
{
    const struct router *router = call->config;
    struct sl_value request = call->value;
    if (!sl_value_is(request, SL_VALUE_MAP)) {
        return sl_call_fail(call, "unsupported_value", 400, "unsupported value");
    }
    struct sl_value method = sl_value_get_hashed(request, "method", 6, router->hash_method);
    struct sl_value path = sl_value_get_hashed(request, "path", 4, router->hash_path);
    if (!sl_value_is(method, SL_VALUE_STRING) || !sl_value_is(path, SL_VALUE_STRING)) {
        return sl_call_fail(call, "unsupported_value", 400, "unsupported value");
    }
    struct sl_route_match match;
    if (!sl_routes_find(router->table, sl_value_slice(path), &match)) {
        return respond(call, router->not_found);
    }
    const struct sl_route_method *route = sl_route_method_find(match.leaf, sl_value_slice(method));
    if (route == NULL) {
        bool asks = sl_slice_eq(sl_value_slice(method), SL_SLICE("OPTIONS"));
        return respond(call, asks ? router->options[match.leaf->number]
                                  : router->not_allowed[match.leaf->number]);
    }
    /* A listener's request carries an empty `params`: without parameters it can pass as it is. */
    bool same = route->params_count == 0 &&
                sl_value_find_hashed(request, "params", 6, router->hash_params) >= 0;
    if (!same) {
        struct sl_value value = with_params(call, &match, route);
        sl_value_unref(request);
        call->value = value;
        if (sl_value_is_none(value)) return SL_STEP_FAIL;
    }
    call->port = route->port;
    return SL_STEP_EMIT;
}

static const char *const router_errors[] = {"unsupported_value", NULL};

const struct sl_kind sl_kind_router = {
    .name = "router",
    .summary = "sends a request to the port of its route",
    .fields = router_fields,
    .config_size = sizeof(struct router),
    .flags = SL_KIND_ROUTES,
    .outs_max = SL_SPEC_PORTS_MAX,
    .ins_max = 1,
    .error_codes = router_errors,
    .compile = router_compile,
    .config_fini = router_fini,
    .run = router_run,
};
