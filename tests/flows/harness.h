/* SPDX-License-Identifier: MIT */
/*
 * Driving the real program: start a runtime as a child in a folder of its own, talk HTTP to it,
 * read what it printed, end it by its own process id.
 *
 *     struct flow_server server;
 *     flow_start(&server, (const char *[]){"-n", "system", …, NULL});
 *     flow_ask(port, "POST", "/v1/nodes", "{…}", &reply);
 *     flow_stop(&server, SIGTERM);
 *
 * FLOW_SLUICE names the program, FLOW_SOURCE the source tree, FLOW_POLLER the poller (auto).
 * Everything fails the running test by cmocka's asserts.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>

enum { FLOW_PATH_SIZE = 512, FLOW_WAIT_MS = 20000 };

/* A runtime that runs. */
struct flow_server {
    pid_t pid;                /* 0: ended */
    char log[FLOW_PATH_SIZE]; /* file with its stdout and stderr */
};

/* A reply, whole. */
struct flow_reply {
    int status;
    bool closed;      /* the server said, or did, close */
    char head[16384]; /* status line and fields, as text */
    char *body;       /* owned; a zero byte follows */
    size_t body_size;
};

/* The folder of this test program, made at the first call, removed at exit. */
const char *flow_dir(void);

/* A path below it; `fmt` as printf. One of 16 static buffers. */
const char *flow_path(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* A formatted text; one of 16 static buffers of 4 KiB. */
const char *flow_text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Write a file below the folder; returns its path. */
const char *flow_file(const char *name, const char *content);

/* The content of a file; owned by the caller, a zero byte follows. */
char *flow_read(const char *path, size_t *ret_size);

/* A file of the source tree; false if it is not there. */
bool flow_source(const char *name, char ret_path[FLOW_PATH_SIZE]);

/* A TCP port of 127.0.0.1 that was free a moment ago. */
int flow_port(void);

/* Monotonic time. */
uint64_t flow_now_us(void);
void flow_sleep_ms(int ms);

/* Start `sluice start ARGS…`; returns when it is ready. `args` ends with NULL. */
void flow_start(struct flow_server *server, const char *const *args);

/* Same, with `preload` (or NULL) as LD_PRELOAD; does not wait. */
void flow_spawn(struct flow_server *server, const char *const *args, const char *preload);

/* Run `sluice ARGS…` to its end. Returns the exit code; the output is owned by the caller. */
int flow_run(const char *const *args, char **ret_output);

/* Children of a process, of all its threads; `pids` takes the first `max`. Returns their number. */
int flow_children(pid_t parent, pid_t *pids, int max);

/* Is it `PROGRAM command …`? Not before its exec, nor when it has ended. */
bool flow_is_command(pid_t pid, const char *command);

/* Wait until the program said `text`; false after FLOW_WAIT_MS or when it ended. */
bool flow_wait_log(const struct flow_server *server, const char *text);

/* How often it said `text`. */
unsigned flow_log_count(const struct flow_server *server, const char *text);

/* Signal (0: none), then wait for the end: exit code, 128 + signal, or -1 after timeout_ms. */
int flow_stop_within(struct flow_server *server, int signal, int timeout_ms);
int flow_stop(struct flow_server *server, int signal);

/* Kill what a failed test left behind, but `spare` (or NULL). */
void flow_kill_rest(const struct flow_server *spare);

/* Resident memory of a process that is its own (no file), bytes. */
uint64_t flow_rss(pid_t pid);

/* A connection to 127.0.0.1, or -errno. */
int flow_connect(int port);

/* All bytes, or false. */
bool flow_send(int fd, const void *data, size_t size);

/* Read one reply; `head_only` for HEAD. 0, or -EXXX (-ECONNRESET for an end before the end). */
int flow_recv(int fd, bool head_only, struct flow_reply *reply);

/* One request on a connection of its own. `body` NULL: none. 0 or -EXXX. */
int flow_try(int port, const char *method, const char *path, const char *body,
             struct flow_reply *reply);

/* Same, must work; returns the status. */
int flow_ask(int port, const char *method, const char *path, const char *body,
             struct flow_reply *reply);

void flow_reply_fini(struct flow_reply *reply);

/* Ask until the reply is `status` with `text` in its body; returns microseconds, or fails. */
uint64_t flow_until(int port, const char *path, int status, const char *text);

/* Ask until nobody listens on the port; returns microseconds, or fails. */
uint64_t flow_until_closed(int port);

#define flow_assert_has(text, part)   flow_assert_text(text, part, true, __FILE__, __LINE__)
#define flow_assert_lacks(text, part) flow_assert_text(text, part, false, __FILE__, __LINE__)
void flow_assert_text(const char *text, const char *part, bool has, const char *file, int line);
