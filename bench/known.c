/* SPDX-License-Identifier: MIT */
/* The table of known servers; see known.h. */
#include "bench/known.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/assertion.h"

#define NGINX(conf)  "exec nginx -p {dir} -e {dir}/error.log -c {dir}/" conf
#define SLUICE(file) "exec {bin}/sluice start --data {dir}/data --cores {core} {dir}/" file

static const struct sl_known_server KNOWN[] = {
    {"floor",
     "floor: bare io_uring, parses nothing",
     "",
     "exec {bin}/sluice-bench floor --port {port}",
     {NULL},
     true},
    {"sluice",
     "sluice: listener, router, text",
     "{bin}/sluice",
     SLUICE("sluice-text.yaml"),
     {"sluice-text.yaml"},
     false},
    {"sluice-js",
     "sluice: listener, router, JavaScript",
     "{bin}/sluice",
     SLUICE("sluice-js.yaml"),
     {"sluice-js.yaml"},
     true},
    {"sluice-lua",
     "sluice: listener, router, Lua",
     "{bin}/sluice",
     SLUICE("sluice-lua.yaml"),
     {"sluice-lua.yaml"},
     true},
    {"nginx", "nginx: return 200", "nginx", NGINX("nginx.conf"), {"nginx.conf"}, true},
    {"nginx-lua",
     "nginx with LuaJIT",
     "nginx {modules}/ngx_http_lua_module.so",
     NGINX("nginx-lua.conf"),
     {"nginx-lua.conf"},
     true},
    {"nginx-njs",
     "nginx with njs",
     "nginx {modules}/ngx_http_js_module.so",
     NGINX("nginx-njs.conf"),
     {"nginx-njs.conf", "nginx-njs.js"},
     true},
    {"haproxy",
     "HAProxy: return 200",
     "haproxy",
     "exec haproxy -f {dir}/haproxy.cfg",
     {"haproxy.cfg"},
     false},
    {"haproxy-lua",
     "HAProxy with a Lua service",
     "haproxy",
     "exec haproxy -f {dir}/haproxy-lua.cfg",
     {"haproxy-lua.cfg", "haproxy-lua.lua"},
     false},
};

enum { KNOWN_COUNT = sizeof(KNOWN) / sizeof(KNOWN[0]) };

const struct sl_known_server *sl_known_servers(size_t *ret_count)
{
    sl_assert(ret_count != NULL);
    *ret_count = KNOWN_COUNT;
    return KNOWN;
}

const struct sl_known_server *sl_known_find(const char *name)
{
    sl_assert(name != NULL);
    for (size_t i = 0; i < KNOWN_COUNT; i++) {
        if (strcmp(KNOWN[i].name, name) == 0) return &KNOWN[i];
    }
    return NULL;
}

bool sl_known_is_installed(const struct sl_known_server *known)
{
    const char *needs = known->needs;
    char buf[512];
    char bin[512];
    sl_spawn_bin_dir(bin, sizeof(bin));
    while (*needs != '\0') {
        size_t size = strcspn(needs, " ");
        if (strncmp(needs, "{bin}", 5) == 0) {
            (void)snprintf(buf, sizeof(buf), "%.400s%.*s", bin, (int)size - 5, needs + 5);
            if (access(buf, X_OK) != 0) return false;
        } else if (strncmp(needs, "{modules}", 9) == 0) {
            (void)snprintf(buf, sizeof(buf), "/usr/lib/nginx/modules%.*s", (int)size - 9,
                           needs + 9);
            if (access(buf, R_OK) != 0) return false;
        } else {
            (void)snprintf(buf, sizeof(buf), "%.*s", (int)size, needs);
            if (!sl_spawn_has_program(buf)) return false;
        }
        needs += size + (needs[size] == ' ');
    }
    return true;
}
