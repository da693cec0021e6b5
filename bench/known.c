/* SPDX-License-Identifier: MIT */
/* The table of known servers; see known.h. */
#include "bench/known.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/assertion.h"

#define NGINX(conf)  "exec nginx -p {dir} -e {dir}/error.log -c {dir}/" conf
#define SLUICE(file) "exec {bin}/sluice start --data {dir}/data --cores {core} {dir}/" file

#define PACKAGES(names)                                                                            \
    "nginx -v 2>&1; dpkg-query -W -f='${Package} ${Version}\\n' " names " 2>/dev/null"

#define SLUICE_VERSION "echo sluice $({bin}/sluice version | head -n 1 | cut -d ' ' -f 2)"

enum {
    PING = 1 << SL_SCENARIO_PING,
    SCRIPTS = 1 << SL_SCENARIO_CONST | 1 << SL_SCENARIO_ECHO,
};

static const struct sl_known_server KNOWN[] = {
    {.name = "floor",
     .title = "floor: bare io_uring, parses nothing",
     .needs = "",
     .command = "exec {bin}/sluice-bench floor --port {port}",
     .version = "{bin}/sluice-bench version",
     .is_base = true},
    {.name = "sluice",
     .title = "sluice: listener, router, text",
     .needs = "{bin}/sluice",
     .command = SLUICE("sluice-text.yaml"),
     .files = {"sluice-text.yaml"},
     .version = SLUICE_VERSION,
     .scenarios = PING},
    {.name = "sluice-js",
     .title = "sluice: listener, router, JavaScript",
     .needs = "{bin}/sluice",
     .command = SLUICE("sluice-js.yaml"),
     .files = {"sluice-js.yaml"},
     .version = SLUICE_VERSION,
     .scenarios = SCRIPTS},
    {.name = "sluice-js-process",
     .title = "sluice: the same, isolation: process",
     .needs = "{bin}/sluice",
     .command = SLUICE("sluice-js-process.yaml"),
     .files = {"sluice-js-process.yaml"},
     .version = SLUICE_VERSION,
     .scenarios = SCRIPTS,
     .in_flight_max = 128}, /* SL_WORKER_NODE_QUEUE_MAX: beyond it calls are refused */
    {.name = "sluice-lua",
     .title = "sluice: listener, router, Lua",
     .needs = "{bin}/sluice",
     .command = SLUICE("sluice-lua.yaml"),
     .files = {"sluice-lua.yaml"},
     .version = SLUICE_VERSION,
     .scenarios = SCRIPTS},
    {.name = "nginx",
     .title = "nginx: return 200",
     .needs = "nginx",
     .command = NGINX("nginx.conf"),
     .files = {"nginx.conf"},
     .version = "nginx -v 2>&1",
     .scenarios = PING,
     .is_base = true},
    {.name = "nginx-lua",
     .title = "nginx with LuaJIT, lua-cjson",
     .needs = "nginx {modules}/ngx_http_lua_module.so",
     .command = NGINX("nginx-lua.conf"),
     .files = {"nginx-lua.conf"},
     .version = PACKAGES("libnginx-mod-http-lua libluajit2-5.1-2 lua-cjson"),
     .scenarios = SCRIPTS},
    {.name = "nginx-njs",
     .title = "nginx with njs",
     .needs = "nginx {modules}/ngx_http_js_module.so",
     .command = NGINX("nginx-njs.conf"),
     .files = {"nginx-njs.conf", "nginx-njs.js"},
     .version = PACKAGES("libnginx-mod-http-js"),
     .scenarios = SCRIPTS},
    {.name = "haproxy",
     .title = "HAProxy: return 200",
     .needs = "haproxy",
     .command = "exec haproxy -f {dir}/haproxy.cfg",
     .files = {"haproxy.cfg"},
     .version = "haproxy -v | head -n 1 | cut -d ' ' -f 1-3",
     .scenarios = PING},
    {.name = "haproxy-lua",
     .title = "HAProxy with a Lua service, lua-cjson",
     .needs = "haproxy",
     .command = "exec haproxy -f {dir}/haproxy-lua.cfg",
     .files = {"haproxy-lua.cfg", "haproxy-lua.lua"},
     .version = "haproxy -v | head -n 1 | cut -d ' ' -f 1-3; haproxy -vv | grep -o 'Lua [0-9.]*$'; "
                "dpkg-query -W -f='${Package} ${Version}\\n' lua-cjson 2>/dev/null",
     .scenarios = SCRIPTS},
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

void sl_known_version(const struct sl_known_server *known, char *buf, size_t buf_size)
{
    char bin[512];
    char command[1024];
    sl_assert(known != NULL);
    sl_assert(buf_size > 0);
    buf[0] = '\0';
    sl_spawn_bin_dir(bin, sizeof(bin));
    (void)snprintf(command, sizeof(command), "( %s ) 2>/dev/null", known->version);
    const char *place = strstr(known->version, "{bin}");
    if (place != NULL) {
        (void)snprintf(command, sizeof(command), "( %.*s%.400s%s ) 2>/dev/null",
                       (int)(place - known->version), known->version, bin, place + strlen("{bin}"));
    }
    FILE *pipe = popen(command, "re");
    if (pipe == NULL) return;
    char line[128];
    while (fgets(line, sizeof(line), pipe) != NULL) {
        size_t used = strlen(buf);
        line[strcspn(line, "\n")] = '\0';
        (void)snprintf(buf + used, buf_size - used, "%s%s", used > 0 ? ", " : "", line);
    }
    (void)pclose(pipe);
}
