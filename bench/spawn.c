/* SPDX-License-Identifier: MIT */
/* Starting and ending servers; see spawn.h. */
#include "bench/spawn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/run.h"
#include "bench/target.h"
#include "core/base/assertion.h"
#include "core/base/clock.h"

enum {
    READY_MS_MAX = 15000,
    STOP_MS_MAX = 4000,
    STEP_MS = 20,
};

static const char MODULES_DIR[] = "/usr/lib/nginx/modules";
static const struct sl_pos NO_POS = {0, 0};

void sl_spawn_bin_dir(char *buf, size_t buf_size)
{
    sl_assert(buf != NULL);
    sl_assert(buf_size > 2);
    ssize_t size = readlink("/proc/self/exe", buf, buf_size - 1);
    buf[size > 0 ? size : 0] = '\0';
    char *slash = strrchr(buf, '/');
    if (slash == NULL) {
        (void)snprintf(buf, buf_size, ".");
    } else {
        *slash = '\0';
    }
}

int sl_spawn_peers_dir(char *buf, size_t buf_size)
{
    static const char *const PLACES[] = {"../bench/peers", "../share/sluice/bench/peers"};
    char bin[512];
    sl_assert(buf != NULL);
    sl_spawn_bin_dir(bin, sizeof(bin));
    for (size_t i = 0; i < sizeof(PLACES) / sizeof(PLACES[0]); i++) {
        (void)snprintf(buf, buf_size, "%s/%s", bin, PLACES[i]);
        if (access(buf, R_OK) == 0) return 0;
    }
    return -ENOENT;
}

bool sl_spawn_has_program(const char *program)
{
    if (strchr(program, '/') != NULL) return access(program, X_OK) == 0;
    const char *path = getenv("PATH");
    char buf[1024];
    while (path != NULL && *path != '\0') {
        size_t size = strcspn(path, ":");
        (void)snprintf(buf, sizeof(buf), "%.*s/%s", (int)size, path, program);
        if (access(buf, X_OK) == 0) return true;
        path += size + (path[size] == ':');
    }
    return access("/usr/sbin/nginx", X_OK) == 0 && strcmp(program, "nginx") == 0;
}

static int free_port(uint16_t *ret_port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    int err = bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
    if (err == 0 && getsockname(fd, (struct sockaddr *)&addr, &size) < 0) err = -errno;
    (void)close(fd);
    *ret_port = ntohs(addr.sin_port);
    return err;
}

/* Replace the placeholders of `text`; the caller frees. */
static char *fill(const char *text, const struct sl_spawn_config *config,
                  const struct sl_spawn *spawn)
{
    char port[16];
    char core[16];
    char bin[512];
    (void)snprintf(port, sizeof(port), "%u", spawn->port);
    (void)snprintf(core, sizeof(core), "%d", config->core < 0 ? 0 : config->core);
    sl_spawn_bin_dir(bin, sizeof(bin));
    const struct {
        const char *name;
        const char *value;
    } words[] = {{"{port}", port}, {"{dir}", spawn->dir},
                 {"{core}", core}, {"{modules}", MODULES_DIR},
                 {"{bin}", bin},   {"{peers}", config->peers_dir ? config->peers_dir : "."}};
    char *data = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&data, &size);
    if (out == NULL) return NULL;
    while (*text != '\0') {
        size_t used = 0;
        for (size_t i = 0; used == 0 && i < sizeof(words) / sizeof(words[0]); i++) {
            size_t name_size = strlen(words[i].name);
            if (strncmp(text, words[i].name, name_size) != 0) continue;
            (void)fputs(words[i].value, out);
            used = name_size;
        }
        if (used == 0) {
            (void)fputc(*text, out);
            used = 1;
        }
        text += used;
    }
    return fclose(out) == 0 ? data : NULL;
}

static int file_copy(const struct sl_spawn_config *config, const struct sl_spawn *spawn,
                     const char *name, struct sl_diag *reterr)
{
    char path[1024];
    uint8_t *data;
    size_t size;
    (void)snprintf(path, sizeof(path), "%s/%s", config->peers_dir, name);
    int err = sl_bench_file_read(path, &data, &size, reterr);
    if (err < 0) return err;
    char *text = fill((const char *)data, config, spawn);
    free(data);
    (void)snprintf(path, sizeof(path), "%s/%s", spawn->dir, name);
    FILE *out = text != NULL ? fopen(path, "we") : NULL;
    err = out == NULL || fputs(text, out) < 0 ? -EIO : 0;
    if (out != NULL && fclose(out) != 0) err = -EIO;
    free(text);
    if (err < 0) (void)sl_diag_set(reterr, "bad_file", NO_POS, "cannot write \"%s\"", path);
    return err;
}

/* In the child: never returns. */
static void child_exec(const struct sl_spawn_config *config, const struct sl_spawn *spawn,
                       const char *command)
{
    char log_path[96];
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (config->core >= 0) (void)sl_run_pin(config->core);
    (void)sl_run_prioritise(config->priority);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)snprintf(log_path, sizeof(log_path), "%s/output.log", spawn->dir);
    int fd = open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || in < 0) _exit(127);
    (void)dup2(in, STDIN_FILENO);
    (void)dup2(fd, STDOUT_FILENO);
    (void)dup2(fd, STDERR_FILENO);
    (void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(127);
}

static bool port_answers(uint16_t port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons(port),
                               .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    bool answers = connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0;
    (void)close(fd);
    return answers;
}

static void sleep_ms(long ms)
{
    struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&ts, NULL);
}

/* The last bytes that the server printed, for a diagnostic. */
static void log_tail(const struct sl_spawn *spawn, char *buf, size_t buf_size)
{
    char path[96];
    uint8_t *data;
    size_t size;
    buf[0] = '\0';
    (void)snprintf(path, sizeof(path), "%s/output.log", spawn->dir);
    if (sl_bench_file_read(path, &data, &size, NULL) < 0) return;
    size_t from = size >= buf_size ? size - buf_size + 1 : 0;
    (void)snprintf(buf, buf_size, "%s", (const char *)data + from);
    for (char *c = buf; *c != '\0'; c++) {
        if (*c == '\n') *c = ' ';
    }
    free(data);
}

static int ready_wait(const struct sl_spawn_config *config, struct sl_spawn *spawn,
                      struct sl_diag *reterr)
{
    char tail[200];
    for (int ms = 0; ms < READY_MS_MAX && !sl_run_is_stopped(); ms += STEP_MS) {
        int status;
        if (waitpid(spawn->pid, &status, WNOHANG) == spawn->pid) {
            spawn->pid = 0;
            log_tail(spawn, tail, sizeof(tail));
            (void)sl_diag_set(reterr, "peer_ended", NO_POS, "%s ended at once: %s", config->name,
                              tail);
            return -ECHILD;
        }
        if (port_answers(spawn->port)) return 0;
        sleep_ms(STEP_MS);
    }
    log_tail(spawn, tail, sizeof(tail));
    (void)sl_diag_set(reterr, "peer_silent", NO_POS, "%s does not listen on port %u: %s",
                      config->name, spawn->port, tail);
    return -ETIMEDOUT;
}

int sl_spawn_start(const struct sl_spawn_config *config, struct sl_spawn *ret_spawn,
                   struct sl_diag *reterr)
{
    sl_assert(config->command != NULL);
    memset(ret_spawn, 0, sizeof(*ret_spawn));
    const char *tmp = config->parent_dir != NULL ? config->parent_dir : getenv("TMPDIR");
    if (tmp == NULL || strlen(tmp) > 32) tmp = "/tmp";
    (void)snprintf(ret_spawn->dir, sizeof(ret_spawn->dir), "%s/sluice-bench-XXXXXX", tmp);
    if (mkdtemp(ret_spawn->dir) == NULL) {
        ret_spawn->dir[0] = '\0';
        return sl_diag_set(reterr, "no_folder", NO_POS, "cannot make a folder in %s", tmp);
    }
    int err = free_port(&ret_spawn->port);
    for (int i = 0; err == 0 && i < SL_SPAWN_FILES_MAX && config->files[i] != NULL; i++) {
        err = file_copy(config, ret_spawn, config->files[i], reterr);
    }
    char *command = err == 0 ? fill(config->command, config, ret_spawn) : NULL;
    if (err == 0 && command == NULL) err = -ENOMEM;
    if (err == 0) {
        (void)fflush(NULL);
        ret_spawn->pid = fork();
        if (ret_spawn->pid == 0) child_exec(config, ret_spawn, command);
        if (ret_spawn->pid < 0) err = -errno;
    }
    free(command);
    if (err == 0) err = ready_wait(config, ret_spawn, reterr);
    if (err < 0) sl_spawn_stop(ret_spawn);
    return err;
}

int sl_spawn_run(const char *command, struct sl_diag *reterr)
{
    sl_assert(command != NULL);
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        (void)signal(SIGPIPE, SIG_DFL);
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (null < 0) _exit(127);
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) (void)dup2(null, fd);
        (void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    int status = -1;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
    (void)sl_diag_set(reterr, "command_failed", NO_POS, "\"%s\" failed", command);
    return -EIO;
}

static int entry_remove(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info;
    (void)type;
    (void)ftw;
    (void)remove(path);
    return 0;
}

void sl_spawn_stop(struct sl_spawn *spawn)
{
    if (spawn->pid > 0) {
        (void)kill(spawn->pid, SIGTERM);
        pid_t ended = 0;
        for (int ms = 0; ms < STOP_MS_MAX && ended == 0; ms += STEP_MS) {
            ended = waitpid(spawn->pid, NULL, WNOHANG);
            if (ended == 0) sleep_ms(STEP_MS);
        }
        /* Whatever is left of the group that we made. */
        (void)kill(-spawn->pid, SIGKILL);
        if (ended == 0) (void)waitpid(spawn->pid, NULL, 0);
        spawn->pid = 0;
    }
    if (spawn->dir[0] != '\0') (void)nftw(spawn->dir, entry_remove, 8, FTW_DEPTH | FTW_PHYS);
    spawn->dir[0] = '\0';
}
