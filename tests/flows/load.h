/* SPDX-License-Identifier: MIT */
/*
 * A closed-loop client on one thread: `count` keep-alive connections, each with one request on its
 * way. Every reply is handed to `check`; nothing may fail, and nobody may close.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FLOW_LOAD_CONNS_MAX = 128, FLOW_LOAD_BUF_SIZE = 16384 };

struct flow_load_conn {
    int fd;
    size_t used;
    char buf[FLOW_LOAD_BUF_SIZE];
};

struct flow_load {
    int port;
    int count;         /* connections */
    uint64_t requests; /* 0: until flow_load_stop, else how many in all */
    const char *path;
    bool (*check)(const char *body, size_t size);

    _Atomic uint64_t replies;
    _Atomic uint64_t failed;  /* replies with another status, or not whole */
    _Atomic uint64_t refused; /* connections */
    _Atomic uint64_t closed;  /* connections that the server ended */
    _Atomic bool stop;
    pthread_t thread;
    char first_error[512];
    struct flow_load_conn conns[FLOW_LOAD_CONNS_MAX];
};

/* Fill port, count, requests, path and check first; the rest zero. */
void flow_load_start(struct flow_load *load);

/* Wait for the end; with requests == 0 end it first. */
void flow_load_stop(struct flow_load *load);
