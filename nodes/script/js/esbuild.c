/* SPDX-License-Identifier: MIT */
#include "nodes/script/js/esbuild.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/assertion.h"
#include "core/base/clock.h"
#include "core/base/hash.h"

enum {
    CACHE_ITEMS_MAX = 512,
    OUTPUT_SIZE_MAX = 64 * 1024 * 1024,
    TIMEOUT_MS = 20000,
};

static const char cache_magic[] = "sluice-js-2\n"; /* changes with the options below */

struct cache_item {
    char *key;  /* loader, newline, code */
    char *text; /* zero-terminated */
    size_t key_size;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct cache_item cache[CACHE_ITEMS_MAX]; /* under lock; replaced round robin */
static size_t cache_next;
static char *esbuild_path;
static char *esbuild_cache_dir;

void js_esbuild_setup(const char *path, const char *cache_dir)
{
    (void)pthread_mutex_lock(&lock);
    free(esbuild_path);
    free(esbuild_cache_dir);
    esbuild_path = path != NULL ? strdup(path) : NULL;
    esbuild_cache_dir = cache_dir != NULL ? strdup(cache_dir) : NULL;
    for (size_t i = 0; i < CACHE_ITEMS_MAX; i++) {
        free(cache[i].key);
        free(cache[i].text);
        cache[i] = (struct cache_item){0};
    }
    (void)pthread_mutex_unlock(&lock);
}

/* ---- The process --------------------------------------------------------------------------- */

struct output {
    char *data; /* zero-terminated once read to its end */
    size_t size;
    size_t cap;
};

/* Both ends of the three pipes; -1 = closed. Standard input is a socket: no SIGPIPE. */
struct pipes {
    int in[2], out[2], err[2];
};

static void fd_close(int *fd)
{
    if (*fd >= 0) (void)close(*fd);
    *fd = -1;
}

static void pipes_close(struct pipes *p)
{
    for (int i = 0; i < 2; i++) {
        fd_close(&p->in[i]);
        fd_close(&p->out[i]);
        fd_close(&p->err[i]);
    }
}

static int pipes_open(struct pipes *p)
{
    *p = (struct pipes){{-1, -1}, {-1, -1}, {-1, -1}};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p->in) < 0 ||
        pipe2(p->out, O_CLOEXEC) < 0 || pipe2(p->err, O_CLOEXEC) < 0) {
        int err = -errno;
        pipes_close(p);
        return err;
    }
    return 0;
}

static int spawn(const char *path, const char *loader, struct pipes *p, pid_t *ret_pid)
{
    char loader_arg[32];
    (void)snprintf(loader_arg, sizeof(loader_arg), "--loader=%s", loader);
    const char *argv[] = {path,
                          loader_arg,
                          "--format=cjs",
                          "--target=esnext",
                          "--supported:async-await=false",
                          "--supported:async-generator=false",
                          "--supported:for-await=false",
                          "--supported:dynamic-import=false",
                          "--charset=utf8",
                          "--sourcemap=inline",
                          "--sources-content=false",
                          "--sourcefile=script",
                          "--log-level=error",
                          "--log-limit=1",
                          "--color=false",
                          NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, defaults;
    (void)sigemptyset(&none);
    (void)sigemptyset(&defaults);
    (void)sigaddset(&defaults, SIGPIPE);
    int err = posix_spawn_file_actions_init(&actions);
    if (err != 0) return -err;
    err = posix_spawnattr_init(&attr);
    if (err != 0) {
        (void)posix_spawn_file_actions_destroy(&actions);
        return -err;
    }
    (void)posix_spawnattr_setsigmask(&attr, &none);
    (void)posix_spawnattr_setsigdefault(&attr, &defaults);
    (void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    (void)posix_spawn_file_actions_adddup2(&actions, p->in[1], STDIN_FILENO);
    (void)posix_spawn_file_actions_adddup2(&actions, p->out[1], STDOUT_FILENO);
    (void)posix_spawn_file_actions_adddup2(&actions, p->err[1], STDERR_FILENO);
    err = posix_spawnp(ret_pid, path, &actions, &attr, (char *const *)argv, environ);
    (void)posix_spawnattr_destroy(&attr);
    (void)posix_spawn_file_actions_destroy(&actions);
    return -err;
}

/* Read once. Returns 1 for more to come, 0 at the end, or -errno. */
static int output_read(struct output *output, int fd)
{
    if (output->size + 1 >= output->cap) {
        size_t cap = output->cap ? output->cap * 2 : 16384;
        if (cap > OUTPUT_SIZE_MAX) return -EFBIG;
        char *data = realloc(output->data, cap);
        if (data == NULL) return -ENOMEM;
        output->data = data;
        output->cap = cap;
    }
    ssize_t got = read(fd, output->data + output->size, output->cap - 1 - output->size);
    if (got < 0) return errno == EINTR || errno == EAGAIN ? 1 : -errno;
    output->size += (size_t)got;
    output->data[output->size] = '\0';
    return got > 0;
}

/* Send what the socket takes; closes it when all is sent or the reader is gone. */
static void input_send(struct pipes *p, struct sl_slice *code)
{
    ssize_t sent =
        code->size > 0 ? send(p->in[0], code->data, code->size, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        code->size = 0;
    } else if (sent > 0) {
        code->data += sent;
        code->size -= (size_t)sent;
    }
    if (code->size == 0) fd_close(&p->in[0]);
}

static int pump(struct pipes *p, struct sl_slice code, struct output *out, struct output *err_out)
{
    uint64_t end_ns = sl_clock_now_ns(sl_clock_system()) + TIMEOUT_MS * SL_NS_PER_MS;
    while (p->out[0] >= 0 || p->err[0] >= 0) {
        uint64_t now_ns = sl_clock_now_ns(sl_clock_system());
        if (now_ns >= end_ns) return -ETIMEDOUT;
        struct pollfd fds[3] = {
            {p->in[0], POLLOUT, 0}, {p->out[0], POLLIN, 0}, {p->err[0], POLLIN, 0}};
        int ready = poll(fds, 3, (int)((end_ns - now_ns) / SL_NS_PER_MS) + 1);
        if (ready < 0 && errno != EINTR) return -errno;
        if (ready <= 0) continue;
        if (fds[0].revents != 0) input_send(p, &code);
        struct output *outputs[2] = {out, err_out};
        int *ends[2] = {&p->out[0], &p->err[0]};
        for (int i = 0; i < 2; i++) {
            if (fds[i + 1].revents == 0) continue;
            int more = output_read(outputs[i], *ends[i]);
            if (more < 0) return more;
            if (more == 0) fd_close(ends[i]);
        }
    }
    return 0;
}

/* Run esbuild to its end. 0 with *ret_status from waitpid, or -errno (-ENOENT: not installed). */
static int run(const char *path, const char *loader, struct sl_slice code, struct output *out,
               struct output *err_out, int *ret_status)
{
    struct pipes p;
    pid_t pid;
    int err = pipes_open(&p);
    if (err < 0) return err;
    err = spawn(path, loader, &p, &pid);
    if (err < 0) {
        pipes_close(&p);
        return err;
    }
    fd_close(&p.in[1]);
    fd_close(&p.out[1]);
    fd_close(&p.err[1]);
    err = pump(&p, code, out, err_out);
    pipes_close(&p);
    if (err < 0) (void)kill(pid, SIGKILL);
    while (waitpid(pid, ret_status, 0) < 0) {
        if (errno != EINTR) return -errno;
    }
    return err;
}

/*
 * The first message:
 *     ✘ [ERROR] Expected ")" but found "}"
 *
 *         script:2:9:
 */
static int message_parse(const char *text, struct sl_diag *reterr)
{
    static const char mark[] = "[ERROR] ";
    const char *message = strstr(text, mark);
    if (message == NULL) {
        return sl_diag_set(reterr, "script_syntax", (struct sl_pos){0, 0}, "esbuild failed: %.200s",
                           text);
    }
    message += sizeof(mark) - 1;
    int size = (int)strcspn(message, "\n");
    unsigned line = 0, column = 0;
    const char *place = strstr(message, "\n    script:");
    if (place != NULL && sscanf(place, "\n    script:%u:%u:", &line, &column) == 2) column++;
    return sl_diag_set(reterr, "script_syntax", (struct sl_pos){line, column}, "%.*s", size,
                       message);
}

static int failure(int err, const char *path, struct sl_diag *reterr)
{
    if (err == -ENOMEM) return -ENOMEM;
    (void)sl_diag_set(reterr, "esbuild_missing", (struct sl_pos){0, 0},
                      "cannot run \"%s\", which compiles JavaScript and TypeScript: %s", path,
                      strerror(-err));
    if (err == -ENOENT) sl_diag_hint(reterr, "install it: apt install esbuild");
    return -EINVAL;
}

/* ---- The cache ----------------------------------------------------------------------------- */

static char *cache_get(const char *key, size_t key_size)
{
    char *text = NULL;
    (void)pthread_mutex_lock(&lock);
    for (size_t i = 0; i < CACHE_ITEMS_MAX && text == NULL; i++) {
        struct cache_item *item = &cache[i];
        if (item->key == NULL || item->key_size != key_size) continue;
        if (memcmp(item->key, key, key_size) == 0) text = strdup(item->text);
    }
    (void)pthread_mutex_unlock(&lock);
    return text;
}

/* Takes `key` over. */
static void cache_put(char *key, size_t key_size, const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL) {
        free(key);
        return;
    }
    (void)pthread_mutex_lock(&lock);
    struct cache_item *item = &cache[cache_next++ % CACHE_ITEMS_MAX];
    free(item->key);
    free(item->text);
    *item = (struct cache_item){key, copy, key_size};
    (void)pthread_mutex_unlock(&lock);
}

static bool cache_path(const char *key, size_t key_size, char *path, size_t path_size)
{
    (void)pthread_mutex_lock(&lock);
    bool has = esbuild_cache_dir != NULL;
    if (has) {
        int used = snprintf(path, path_size, "%s/js-%016llx", esbuild_cache_dir,
                            (unsigned long long)sl_hash64(key, key_size));
        has = used > 0 && (size_t)used < path_size;
    }
    (void)pthread_mutex_unlock(&lock);
    return has;
}

/* A file is magic, key, zero byte, text; the key is compared, so a collision is only a miss. */
static char *disk_get(const char *key, size_t key_size)
{
    char path[4096];
    if (!cache_path(key, key_size, path, sizeof(path))) return NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return NULL;
    struct output file = {0};
    int more;
    do {
        more = output_read(&file, fd);
    } while (more > 0);
    (void)close(fd);
    size_t head = sizeof(cache_magic) - 1 + key_size + 1;
    char *text = NULL;
    if (more == 0 && file.size > head && file.data[head - 1] == '\0' &&
        memcmp(file.data, cache_magic, sizeof(cache_magic) - 1) == 0 &&
        memcmp(file.data + sizeof(cache_magic) - 1, key, key_size) == 0 &&
        strlen(file.data + head) == file.size - head) {
        text = strdup(file.data + head);
    }
    free(file.data);
    return text;
}

/* Written beside and renamed, so that a reader never sees half a file. Failing is fine. */
static void disk_put(const char *key, size_t key_size, const char *text)
{
    char path[4096];
    char temporary[4096 + 32];
    if (!cache_path(key, key_size, path, sizeof(path))) return;
    (void)snprintf(temporary, sizeof(temporary), "%s.%ld.new", path, (long)getpid());
    FILE *file = fopen(temporary, "we");
    if (file == NULL) return;
    (void)fwrite(cache_magic, 1, sizeof(cache_magic) - 1, file);
    (void)fwrite(key, 1, key_size, file);
    (void)fputc('\0', file);
    (void)fputs(text, file);
    bool good = ferror(file) == 0;
    good = fclose(file) == 0 && good;
    if (!good || rename(temporary, path) < 0) (void)unlink(temporary);
}

/* ---- Both ---------------------------------------------------------------------------------- */

static int compile_run(struct sl_slice code, const char *loader, char **ret_text,
                       struct sl_diag *reterr)
{
    char path[4096];
    (void)pthread_mutex_lock(&lock);
    (void)snprintf(path, sizeof(path), "%s", esbuild_path != NULL ? esbuild_path : "esbuild");
    (void)pthread_mutex_unlock(&lock);
    struct output out = {0}, err_out = {0};
    int status = 0;
    int err = run(path, loader, code, &out, &err_out, &status);
    if (err < 0) {
        err = failure(err, path, reterr);
    } else if (WIFEXITED(status) && WEXITSTATUS(status) == 127 && out.size == 0) {
        err = failure(-ENOENT, path, reterr);
    } else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        err = message_parse(err_out.data != NULL ? err_out.data : "", reterr);
    } else if (out.data == NULL) {
        err = sl_diag_set(reterr, "script_syntax", (struct sl_pos){0, 0}, "esbuild wrote nothing");
    } else {
        *ret_text = out.data;
        out.data = NULL;
    }
    free(out.data);
    free(err_out.data);
    return err;
}

int js_esbuild_compile(struct sl_slice code, const char *loader, char **ret_text,
                       struct sl_diag *reterr)
{
    sl_assert(loader != NULL);
    sl_assert(ret_text != NULL);
    size_t loader_size = strlen(loader);
    size_t key_size = loader_size + 1 + code.size;
    char *key = malloc(key_size + 1);
    if (key == NULL) return -ENOMEM;
    memcpy(key, loader, loader_size);
    key[loader_size] = '\n';
    if (code.size > 0) memcpy(key + loader_size + 1, code.data, code.size);
    char *text = cache_get(key, key_size);
    if (text == NULL) {
        text = disk_get(key, key_size);
        if (text == NULL) {
            int err = compile_run(code, loader, &text, reterr);
            if (err < 0) {
                free(key);
                return err;
            }
            disk_put(key, key_size, text);
        }
        cache_put(key, key_size, text);
        key = NULL;
    }
    free(key);
    *ret_text = text;
    return 0;
}
