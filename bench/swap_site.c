/* SPDX-License-Identifier: MIT */
#include "bench/swap_site.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/ask.h"
#include "core/base/assertion.h"

enum { REQUEST_SIZE_MAX = 2048, STATUS_SIZE = 64 * 1024 };

static const char ADMIN_SPACE[] = "sluice-bench";

/* Run `sluice …` and wait. Its exit code, or 127. */
static int sluice_run(const char *arguments)
{
    char bin[512];
    char command[2048];
    sl_spawn_bin_dir(bin, sizeof(bin));
    (void)snprintf(command, sizeof(command), "exec '%s/sluice' %s </dev/null >/dev/null 2>&1", bin,
                   arguments);
    int status = system(command);
    return status >= 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 127;
}

static int admin_connect(const struct sl_swap_site *site)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons(site->admin.port),
                               .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    return sl_ask_connect((const struct sockaddr *)&addr, sizeof(addr));
}

static int control_connect(const struct sl_swap_site *site)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    static_assert(sizeof(site->control) <= sizeof(addr.sun_path), "the path fits");
    memcpy(addr.sun_path, site->control, sizeof(site->control));
    return sl_ask_connect((const struct sockaddr *)&addr, sizeof(addr));
}

int sl_swap_site_update(struct sl_swap_site *site, const char *json, char *ret_text,
                        size_t text_size)
{
    char request[REQUEST_SIZE_MAX];
    struct sl_ask_body body = {.text = ret_text, .cap = text_size};
    sl_assert(site != NULL);
    sl_assert(json != NULL);
    if (site->fd < 0) site->fd = admin_connect(site);
    if (site->fd < 0) return site->fd;
    int size = snprintf(request, sizeof(request),
                        "POST /update HTTP/1.1\r\nHost: admin\r\nContent-Type: application/json\r\n"
                        "Content-Length: %zu\r\n\r\n%s",
                        strlen(json), json);
    sl_assert(size > 0 && size < REQUEST_SIZE_MAX);
    int result = sl_ask(site->fd, request, (size_t)size, &body);
    if (result < 0) {
        (void)close(site->fd);
        site->fd = -1;
    }
    return result;
}

/* The number behind `"key": ` at or after `text`; 0: there is none. */
static uint64_t number_find(const char *text, const char *key)
{
    char name[32];
    (void)snprintf(name, sizeof(name), "\"%s\": ", key);
    const char *at = text != NULL ? strstr(text, name) : NULL;
    return at != NULL ? strtoull(at + strlen(name), NULL, 10) : 0;
}

int sl_swap_site_status(const struct sl_swap_site *site, struct sl_swap_status *ret_status)
{
    static const char ask[] = "GET /status HTTP/1.1\r\nHost: sluice\r\n\r\n";
    sl_assert(site != NULL);
    sl_assert(ret_status != NULL);
    int fd = control_connect(site);
    if (fd < 0) return fd;
    struct sl_ask_body answer = {.text = calloc(1, STATUS_SIZE), .cap = STATUS_SIZE};
    int result = answer.text == NULL ? -ENOMEM : sl_ask(fd, ask, strlen(ask), &answer);
    (void)close(fd);
    if (result == 200) {
        const char *programs = strstr(answer.text, "\"programs\"");
        *ret_status = (struct sl_swap_status){
            .pid = (pid_t)number_find(answer.text, "pid"),
            .programs_alive = number_find(programs, "alive"),
            .programs_published = number_find(programs, "published"),
            .programs_refused = number_find(programs, "refused"),
        };
    }
    free(answer.text);
    return result == 200 ? 0 : result < 0 ? result : -EPROTO;
}

/* Both in one: registry and server of our own, in memory-backed files. */
static int server_start(struct sl_swap_site *site, const struct sl_swap_site_config *config,
                        const char *peers_dir, struct sl_diag *reterr)
{
    char command[512];
    (void)snprintf(command, sizeof(command),
                   "exec {bin}/sluice start -n %.100s --data {dir}/data --cores %.100s "
                   "{dir}/swap.yaml",
                   config->name_space, config->server_cores);
    struct sl_spawn_config spawn = {.name = "sluice",
                                    .command = command,
                                    .files = {"swap.yaml"},
                                    .peers_dir = peers_dir,
                                    .parent_dir = "/dev/shm",
                                    .core = -1,
                                    .priority = config->priority};
    int err = sl_spawn_start(&spawn, &site->server, reterr);
    if (err < 0) return err;
    site->port = site->server.port;
    (void)snprintf(site->data_dir, sizeof(site->data_dir), "%s/data", site->server.dir);
    (void)snprintf(site->control, sizeof(site->control), "%.36s/%.64s.sock", site->data_dir,
                   config->name_space);
    return 0;
}

/* Somebody's server: it must be there before anything is stored for it. */
static int server_find(struct sl_swap_site *site, const struct sl_swap_site_config *config,
                       struct sl_diag *reterr)
{
    struct sl_swap_status status;
    struct sl_pos none = {0, 0};
    int size = config->control != NULL
                   ? snprintf(site->control, sizeof(site->control), "%s", config->control)
                   : snprintf(site->control, sizeof(site->control), "%s/%s.sock", config->data_dir,
                              config->name_space);
    if (size < 0 || (size_t)size >= sizeof(site->control) ||
        strlen(config->data_dir) >= sizeof(site->data_dir) - 1) {
        return sl_diag_set(reterr, "bad_value", none, "the path of the control socket is too long");
    }
    (void)snprintf(site->data_dir, sizeof(site->data_dir), "%s", config->data_dir);
    int err = sl_swap_site_status(site, &status);
    if (err == 0) return 0;
    (void)sl_diag_set(reterr, "no_server", none, "no server answers on %s: %s", site->control,
                      strerror(-err));
    sl_diag_hint(reterr, "start it: sluice start -n %s --data %s", config->name_space,
                 config->data_dir);
    return err;
}

/*
 * Into a server that runs: the workflow is applied to its registry; a folder with a free port is all
 * that a spawned `sluice apply` leaves, and the port answers when the server has published it.
 */
static int workflow_apply(struct sl_swap_site *site, const char *peers_dir, struct sl_diag *reterr)
{
    char command[1024];
    (void)snprintf(command, sizeof(command),
                   "{bin}/sluice apply --wait -n %.100s --data '%.200s' {dir}/swap.yaml && exec "
                   "sleep 1000000",
                   site->name_space, site->data_dir);
    struct sl_spawn_config spawn = {.name = "sluice apply",
                                    .command = command,
                                    .files = {"swap.yaml"},
                                    .peers_dir = peers_dir,
                                    .core = -1};
    struct sl_spawn holder;
    site->is_applied = true;
    int err = sl_spawn_start(&spawn, &holder, reterr);
    if (err < 0) return err;
    site->port = holder.port;
    sl_spawn_stop(&holder);
    return 0;
}

static int admin_start(struct sl_swap_site *site, const char *peers_dir, struct sl_diag *reterr)
{
    char command[1024];
    (void)snprintf(command, sizeof(command),
                   "exec {bin}/sluice start -n %s --data '%.200s' --cores 0 --control none "
                   "{dir}/swap-admin.yaml",
                   ADMIN_SPACE, site->data_dir);
    struct sl_spawn_config spawn = {.name = "sluice (admin)",
                                    .command = command,
                                    .files = {"swap-admin.yaml"},
                                    .peers_dir = peers_dir,
                                    .core = -1};
    return sl_spawn_start(&spawn, &site->admin, reterr);
}

int sl_swap_site_open(struct sl_swap_site *site, const struct sl_swap_site_config *config,
                      struct sl_diag *reterr)
{
    char peers_dir[600];
    sl_assert(site != NULL);
    sl_assert(config->name_space != NULL);
    *site = (struct sl_swap_site){.fd = -1, .name_space = config->name_space};
    if (sl_spawn_peers_dir(peers_dir, sizeof(peers_dir)) < 0) {
        return sl_diag_set(reterr, "no_peers", (struct sl_pos){0, 0},
                           "the folder bench/peers is not there");
    }
    int err;
    if (config->data_dir != NULL) {
        err = server_find(site, config, reterr);
        if (err == 0) err = workflow_apply(site, peers_dir, reterr);
    } else {
        err = server_start(site, config, peers_dir, reterr);
    }
    return err < 0 ? err : admin_start(site, peers_dir, reterr);
}

void sl_swap_site_close(struct sl_swap_site *site)
{
    char arguments[512];
    if (site->fd >= 0) (void)close(site->fd);
    site->fd = -1;
    sl_spawn_stop(&site->admin);
    if (site->is_applied) {
        (void)snprintf(arguments, sizeof(arguments),
                       "delete nodes sluice-bench-web sluice-bench-first sluice-bench-second "
                       "--ignore-missing -n '%.100s' --data '%.200s'",
                       site->name_space, site->data_dir);
        (void)sluice_run(arguments);
        (void)snprintf(arguments, sizeof(arguments), "delete nodes --all -n %s --data '%.200s'",
                       ADMIN_SPACE, site->data_dir);
        (void)sluice_run(arguments);
    }
    sl_spawn_stop(&site->server);
    site->is_applied = false;
}
