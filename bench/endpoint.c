/* SPDX-License-Identifier: MIT */
/* Reading and opening endpoints; see endpoint.h. */
#include "bench/endpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"

static const struct sl_pos NO_POS = {0, 0};

/* The size of a leading NAME, or 0 if there is none. */
static size_t name_size_of(const char *text)
{
    size_t size =
        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+.-");
    return text[size] == '=' && size < SL_ENDPOINT_NAME_SIZE ? size : 0;
}

static bool is_url(const char *text)
{
    return strncmp(text, "http://", 7) == 0 || strncmp(text, "http+unix://", 12) == 0;
}

static int known_take(const struct sl_known_server *known, bool has_name,
                      struct sl_endpoint *endpoint, struct sl_diag *reterr)
{
    if (!sl_known_is_installed(known)) {
        return sl_diag_set(reterr, "not_installed", NO_POS, "%s is not installed (it needs %s)",
                           known->name, known->needs);
    }
    endpoint->known = known;
    if (!has_name) {
        (void)snprintf(endpoint->name, sizeof(endpoint->name), "%s", known->name);
    }
    (void)snprintf(endpoint->command, sizeof(endpoint->command), "%s", known->command);
    return 0;
}

int sl_endpoint_parse(const char *text, const char *fallback, struct sl_endpoint *ret_endpoint,
                      struct sl_diag *reterr)
{
    sl_assert(text != NULL);
    memset(ret_endpoint, 0, sizeof(*ret_endpoint));
    size_t name_size = name_size_of(text);
    if (name_size > 0) {
        memcpy(ret_endpoint->name, text, name_size);
        text += name_size + 1;
    } else {
        (void)snprintf(ret_endpoint->name, sizeof(ret_endpoint->name), "%s", fallback);
    }
    if (strlen(text) >= SL_ENDPOINT_TEXT_SIZE) {
        return sl_diag_set(reterr, "bad_target", NO_POS, "a target of over 1,000 bytes");
    }
    if (!is_url(text)) {
        const struct sl_known_server *known = sl_known_find(text);
        if (known != NULL) return known_take(known, name_size > 0, ret_endpoint, reterr);
        if (strstr(text, "{port}") == NULL) {
            int err = sl_diag_set(reterr, "bad_target", NO_POS,
                                  "\"%s\" is no URL, and no command with {port}", text);
            sl_diag_hint(reterr, "write NAME=http://127.0.0.1:8000/ping,pid=4711, NAME='server "
                                 "--port {port}', or a known server: sluice, nginx, haproxy …");
            return err;
        }
        (void)snprintf(ret_endpoint->command, sizeof(ret_endpoint->command), "%s", text);
        return 0;
    }
    (void)snprintf(ret_endpoint->url, sizeof(ret_endpoint->url), "%s", text);
    char *pid = strstr(ret_endpoint->url, ",pid=");
    if (pid == NULL) return 0;
    char *stop;
    long value = strtol(pid + 5, &stop, 10);
    if (*stop != '\0' || stop == pid + 5 || value < 1) {
        return sl_diag_set(reterr, "bad_target", NO_POS, "\"%s\": the pid must be a number", text);
    }
    *pid = '\0';
    ret_endpoint->pid = (pid_t)value;
    return 0;
}

int sl_endpoint_open(struct sl_endpoint *endpoint, const struct sl_job_values *values,
                     const char *path, int core, const char *const *files, struct sl_diag *reterr)
{
    char peers_dir[600];
    if (files == NULL && endpoint->known != NULL) files = endpoint->known->files;
    if (path == NULL) path = endpoint->known != NULL ? "/ping" : "/";
    if (endpoint->command[0] != '\0') {
        struct sl_spawn_config config = {
            .name = endpoint->name, .command = endpoint->command, .core = core};
        if (sl_job_priority_parse(values->priority, &config.priority, reterr) < 0) return -EINVAL;
        if (sl_spawn_peers_dir(peers_dir, sizeof(peers_dir)) == 0) config.peers_dir = peers_dir;
        for (int i = 0; files != NULL && i < SL_SPAWN_FILES_MAX; i++) config.files[i] = files[i];
        int err = sl_spawn_start(&config, &endpoint->spawn, reterr);
        if (err < 0) return err;
        endpoint->pid = endpoint->spawn.pid;
        (void)snprintf(endpoint->url, sizeof(endpoint->url), "http://127.0.0.1:%u%s",
                       endpoint->spawn.port, path);
    }
    const char *urls[] = {endpoint->url};
    endpoint->has_job = true;
    int err = sl_job_init(&endpoint->job, values, urls, 1, reterr);
    if (err == 0) endpoint->job.config.pid = endpoint->pid;
    return err;
}

void sl_endpoint_fini(struct sl_endpoint *endpoint)
{
    sl_spawn_stop(&endpoint->spawn);
    if (endpoint->has_job) sl_job_fini(&endpoint->job);
    endpoint->has_job = false;
}
