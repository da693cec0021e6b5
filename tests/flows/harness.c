/* SPDX-License-Identifier: MIT */
#include "tests/flows/harness.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TEXTS_COUNT = 16, TEXT_SIZE = 4096, ARGS_MAX = 64 };

/* ---- folder, files, texts -------------------------------------------------------------------- */

static char folder[FLOW_PATH_SIZE / 2];

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info;
    (void)type;
    (void)at;
    return remove(path);
}

static void remove_folder(void)
{
    if (getenv("FLOW_KEEP") == NULL) (void)nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *flow_dir(void)
{
    if (folder[0] != '\0') return folder;
    /* Commits are slow on disk; memory is asked first. */
    const char *places[] = {"/dev/shm", getenv("TMPDIR"), "/tmp"};
    for (int i = 0; i < 3; i++) {
        if (places[i] == NULL || access(places[i], W_OK) < 0) continue;
        (void)snprintf(folder, sizeof(folder), "%s/sluice-flow-XXXXXX", places[i]);
        if (mkdtemp(folder) == NULL) continue;
        (void)atexit(remove_folder);
        return folder;
    }
    fail_msg("no place for a temporary folder");
    return NULL;
}

static char texts[TEXTS_COUNT][TEXT_SIZE];
static unsigned texts_next;

const char *flow_text(const char *fmt, ...)
{
    char *text = texts[texts_next++ % TEXTS_COUNT];
    va_list args;
    va_start(args, fmt);
    int size = vsnprintf(text, TEXT_SIZE, fmt, args);
    va_end(args);
    assert_in_range(size, 0, TEXT_SIZE - 1);
    return text;
}

const char *flow_path(const char *fmt, ...)
{
    char *text = texts[texts_next++ % TEXTS_COUNT];
    int used = snprintf(text, TEXT_SIZE, "%s/", flow_dir());
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text + used, TEXT_SIZE - (size_t)used, fmt, args);
    va_end(args);
    return text;
}

const char *flow_file(const char *name, const char *content)
{
    const char *path = flow_path("%s", name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(content, file) >= 0);
    assert_int_equal(fclose(file), 0);
    return path;
}

char *flow_read(const char *path, size_t *ret_size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) < 0) fail_msg("%s: %s", path, strerror(errno));
    char *data = malloc((size_t)info.st_size + 1);
    assert_non_null(data);
    size_t size = 0;
    while (size < (size_t)info.st_size) {
        ssize_t n = read(fd, data + size, (size_t)info.st_size - size);
        if (n <= 0) break;
        size += (size_t)n;
    }
    (void)close(fd);
    data[size] = '\0';
    if (ret_size != NULL) *ret_size = size;
    return data;
}

bool flow_source(const char *name, char ret_path[FLOW_PATH_SIZE])
{
    const char *root = getenv("FLOW_SOURCE");
    (void)snprintf(ret_path, FLOW_PATH_SIZE, "%s/%s", root != NULL ? root : ".", name);
    return access(ret_path, R_OK) == 0;
}

uint64_t flow_now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void flow_sleep_ms(int ms)
{
    struct timespec left = {ms / 1000, (long)(ms % 1000) * 1000000};
    (void)nanosleep(&left, NULL);
}

void flow_assert_text(const char *text, const char *part, bool has, const char *file, int line)
{
    bool found = text != NULL && strstr(text, part) != NULL;
    if (found == has) return;
    print_error("\"%s\" %s in:\n%s\n", part, has ? "is not" : "is", text != NULL ? text : "(null)");
    _fail(file, line);
}

/* ---- the program ----------------------------------------------------------------------------- */

static const char *program(void)
{
    const char *path = getenv("FLOW_SLUICE");
    if (path == NULL) fail_msg("FLOW_SLUICE is not set");
    return path;
}

static pid_t alive[ARGS_MAX];

static void alive_replace(pid_t from, pid_t to)
{
    for (int i = 0; i < ARGS_MAX; i++) {
        if (alive[i] != from) continue;
        alive[i] = to;
        return;
    }
    fail_msg("too many programs");
}

void flow_kill_rest(const struct flow_server *spare)
{
    for (int i = 0; i < ARGS_MAX; i++) {
        if (alive[i] == 0 || (spare != NULL && alive[i] == spare->pid)) continue;
        (void)kill(alive[i], SIGKILL);
        (void)waitpid(alive[i], NULL, 0);
        alive[i] = 0;
    }
}

static pid_t spawn(char *const *argv, const char *log, const char *preload)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0) {
        alive_replace(0, pid);
        return pid;
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    (void)dup2(null, STDIN_FILENO);
    (void)dup2(fd, STDOUT_FILENO);
    (void)dup2(fd, STDERR_FILENO);
    if (preload != NULL) (void)setenv("LD_PRELOAD", preload, 1);
    (void)execv(argv[0], argv);
    _exit(127);
}

void flow_spawn(struct flow_server *server, const char *const *args, const char *preload)
{
    static unsigned number;
    const char *poller = getenv("FLOW_POLLER");
    char *argv[ARGS_MAX] = {(char *)(uintptr_t)program(), (char *)(uintptr_t) "start"};
    size_t count = 2;
    if (poller != NULL) {
        argv[count++] = (char *)(uintptr_t) "--poller";
        argv[count++] = (char *)(uintptr_t)poller;
    }
    for (; *args != NULL; args++) {
        assert_true(count + 1 < ARGS_MAX);
        argv[count++] = (char *)(uintptr_t)*args;
    }
    (void)snprintf(server->log, sizeof(server->log), "%s/log-%u", flow_dir(), number++);
    server->pid = spawn(argv, server->log, preload);
}

void flow_start(struct flow_server *server, const char *const *args)
{
    flow_spawn(server, args, NULL);
    if (flow_wait_log(server, "info namespace ")) return;
    char *log = flow_read(server->log, NULL);
    print_error("it did not start:\n%s\n", log);
    free(log);
    (void)flow_stop_within(server, SIGKILL, 5000);
    fail();
}

int flow_run(const char *const *args, char **ret_output)
{
    char *argv[ARGS_MAX] = {(char *)(uintptr_t)program()};
    for (size_t i = 1; *args != NULL; args++) argv[i++] = (char *)(uintptr_t)*args;
    struct flow_server once = {0};
    (void)snprintf(once.log, sizeof(once.log), "%s/run", flow_dir());
    once.pid = spawn(argv, once.log, NULL);
    int code = flow_stop_within(&once, 0, FLOW_WAIT_MS);
    if (ret_output != NULL) *ret_output = flow_read(once.log, NULL);
    return code;
}

unsigned flow_log_count(const struct flow_server *server, const char *text)
{
    unsigned count = 0;
    if (access(server->log, R_OK) < 0) return 0;
    char *log = flow_read(server->log, NULL);
    for (const char *at = log; (at = strstr(at, text)) != NULL; at++) count++;
    free(log);
    return count;
}

static bool is_alive(pid_t pid)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
}

int flow_children(pid_t parent, pid_t *pids, int max)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/task", (int)parent);
    DIR *tasks = opendir(path);
    assert_non_null(tasks);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
        char name[600];
        if (entry->d_name[0] == '.') continue;
        (void)snprintf(name, sizeof(name), "%s/%s/children", path, entry->d_name);
        FILE *file = fopen(name, "r");
        if (file == NULL) continue;
        for (int pid; fscanf(file, "%d", &pid) == 1; count++) {
            if (count < max) pids[count] = pid;
        }
        (void)fclose(file);
    }
    (void)closedir(tasks);
    return count;
}

bool flow_is_command(pid_t pid, const char *command)
{
    char path[64];
    char line[256] = "";
    (void)snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
    FILE *file = fopen(path, "r");
    if (file == NULL) return false;
    size_t size = fread(line, 1, sizeof(line) - 1, file);
    (void)fclose(file);
    size_t name = strlen(line) + 1;
    return name < size && strcmp(line + name, command) == 0;
}

bool flow_wait_log(const struct flow_server *server, const char *text)
{
    for (int waited = 0; waited < FLOW_WAIT_MS; waited += 5) {
        if (flow_log_count(server, text) > 0) return true;
        if (!is_alive(server->pid)) return flow_log_count(server, text) > 0;
        flow_sleep_ms(5);
    }
    return false;
}

int flow_stop_within(struct flow_server *server, int signal, int timeout_ms)
{
    int status;
    if (server->pid == 0) return 0;
    if (signal != 0) (void)kill(server->pid, signal);
    for (int waited = 0; waited < timeout_ms; waited += 2) {
        if (waitpid(server->pid, &status, WNOHANG) == server->pid) {
            alive_replace(server->pid, 0);
            server->pid = 0;
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
        flow_sleep_ms(2);
    }
    (void)kill(server->pid, SIGKILL);
    (void)waitpid(server->pid, &status, 0);
    alive_replace(server->pid, 0);
    server->pid = 0;
    return -1;
}

int flow_stop(struct flow_server *server, int signal)
{
    return flow_stop_within(server, signal, FLOW_WAIT_MS);
}

uint64_t flow_rss(pid_t pid)
{
    char path[64];
    unsigned long size = 0;
    unsigned long resident = 0;
    unsigned long shared = 0; /* files that are mapped: the store */
    (void)snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    FILE *file = fopen(path, "r");
    if (file == NULL) return 0;
    (void)fscanf(file, "%lu %lu %lu", &size, &resident, &shared);
    (void)fclose(file);
    return (uint64_t)(resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* ---- HTTP ------------------------------------------------------------------------------------ */

int flow_port(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &size), 0);
    (void)close(fd);
    return ntohs(addr.sin_port);
}

int flow_connect(int port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval timeout = {.tv_sec = FLOW_WAIT_MS / 1000};
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        int err = -errno;
        (void)close(fd);
        return err;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

bool flow_send(int fd, const void *data, size_t size)
{
    const char *at = data;
    while (size > 0) {
        ssize_t n = send(fd, at, size, MSG_NOSIGNAL);
        if (n < 0) return false;
        at += n;
        size -= (size_t)n;
    }
    return true;
}

/* Receive up to `size` more bytes; 0 or -EXXX. */
static int recv_some(int fd, char *data, size_t size, size_t *ret_count)
{
    ssize_t n = recv(fd, data, size, 0);
    if (n < 0) return errno == EAGAIN ? -ETIMEDOUT : -errno;
    if (n == 0) return -ECONNRESET;
    *ret_count = (size_t)n;
    return 0;
}

/* A field's value, or NULL. `head` has its final empty line. */
static const char *field(const char *head, const char *name)
{
    size_t size = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line != NULL; line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, size) == 0 && line[2 + size] == ':') {
            const char *value = line + 3 + size;
            return value + strspn(value, " ");
        }
    }
    return NULL;
}

/* The head byte by byte: what follows stays in the socket, so connections need no buffer. */
static int recv_head(int fd, struct flow_reply *reply)
{
    size_t used = 0;
    for (;;) {
        ssize_t n = recv(fd, reply->head + used, sizeof(reply->head) - used - 1, MSG_PEEK);
        if (n < 0) return errno == EAGAIN ? -ETIMEDOUT : -errno;
        if (n == 0) return -ECONNRESET;
        reply->head[used + (size_t)n] = '\0';
        char *end = strstr(reply->head, "\r\n\r\n");
        size_t take = end != NULL ? (size_t)(end + 4 - reply->head) - used : (size_t)n;
        size_t got = 0;
        int err = recv_some(fd, reply->head + used, take, &got);
        if (err < 0) return err;
        used += got;
        reply->head[used] = '\0';
        if (end != NULL) return 0;
        if (used + 1 >= sizeof(reply->head)) return -E2BIG;
    }
}

int flow_recv(int fd, bool head_only, struct flow_reply *reply)
{
    *reply = (struct flow_reply){0};
    int err = recv_head(fd, reply);
    if (err < 0) return err;
    if (sscanf(reply->head, "HTTP/1.1 %d", &reply->status) != 1) return -EPROTO;
    if (reply->status == 100) return flow_recv(fd, head_only, reply);
    const char *length = field(reply->head, "Content-Length");
    const char *connection = field(reply->head, "Connection");
    reply->closed = connection != NULL && strncasecmp(connection, "close", 5) == 0;
    size_t size = head_only || length == NULL ? 0 : strtoul(length, NULL, 10);
    reply->body = calloc(1, size + 1);
    assert_non_null(reply->body);
    while (reply->body_size < size) {
        size_t got = 0;
        err = recv_some(fd, reply->body + reply->body_size, size - reply->body_size, &got);
        if (err < 0) return err;
        reply->body_size += got;
    }
    return 0;
}

int flow_try(int port, const char *method, const char *path, const char *body,
             struct flow_reply *reply)
{
    char head[1024];
    *reply = (struct flow_reply){0};
    int fd = flow_connect(port);
    if (fd < 0) return fd;
    int size = snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nHost: test\r\n", method, path);
    if (body != NULL) {
        size += snprintf(head + size, sizeof(head) - (size_t)size,
                         "Content-Type: application/json\r\nContent-Length: %zu\r\n", strlen(body));
    }
    size += snprintf(head + size, sizeof(head) - (size_t)size, "\r\n");
    bool sent =
        flow_send(fd, head, (size_t)size) && (body == NULL || flow_send(fd, body, strlen(body)));
    int err = sent ? flow_recv(fd, strcmp(method, "HEAD") == 0, reply) : -EPIPE;
    (void)close(fd);
    return err;
}

int flow_ask(int port, const char *method, const char *path, const char *body,
             struct flow_reply *reply)
{
    int err = flow_try(port, method, path, body, reply);
    if (err < 0) fail_msg("%s %s on port %d: %s", method, path, port, strerror(-err));
    return reply->status;
}

void flow_reply_fini(struct flow_reply *reply)
{
    free(reply->body);
    reply->body = NULL;
}

uint64_t flow_until(int port, const char *path, int status, const char *text)
{
    uint64_t begin = flow_now_us();
    while (flow_now_us() - begin < (uint64_t)FLOW_WAIT_MS * 1000) {
        struct flow_reply reply;
        int err = flow_try(port, "GET", path, NULL, &reply);
        bool done = err == 0 && reply.status == status && strstr(reply.body, text) != NULL;
        flow_reply_fini(&reply);
        if (done) return flow_now_us() - begin;
        (void)usleep(500);
    }
    fail_msg("GET %s on port %d never became %d with \"%s\"", path, port, status, text);
    return 0;
}

uint64_t flow_until_closed(int port)
{
    uint64_t begin = flow_now_us();
    while (flow_now_us() - begin < (uint64_t)FLOW_WAIT_MS * 1000) {
        int fd = flow_connect(port);
        if (fd < 0) return flow_now_us() - begin;
        (void)close(fd);
        (void)usleep(500);
    }
    fail_msg("port %d never closed", port);
    return 0;
}
