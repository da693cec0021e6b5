/* SPDX-License-Identifier: MIT */
/* Running the program as a person would: words in, what was printed and the exit code out. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { RUN_TEXT_SIZE = 256 * 1024, RUN_COMMAND_SIZE = 8192 };

/* What a run left; valid until the next one. */
struct run {
    int exit; /* code, or -1 when a signal ended it */
    char out[RUN_TEXT_SIZE];
    char err[RUN_TEXT_SIZE];
};

/* The program, and a fresh directory (removed by fixture_fini). */
struct fixture {
    const char *program;
    char dir[256];
    const char *cwd; /* where it runs; NULL: in the directory */
    struct run run;
};

/* The program's path is the first argument of the test program; makes the directory. */
void fixture_init(struct fixture *fixture, const char *program);
void fixture_fini(struct fixture *fixture);

/*
 * Run `sluice WORDS` through the shell, without sluice's own environment
 * variables. Returns the exit code.
 */
int run(struct fixture *fixture, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Start a runtime in the background; waits for its start line. Returns its process id, or -1. */
long run_start(struct fixture *fixture, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* SIGTERM, and wait. Returns the exit code. */
int run_stop(long pid);

/* Write a file of the directory. */
void file_put(struct fixture *fixture, const char *name, const char *text);

/* True if `text` contains `part`; prints both if not. */
bool contains(const char *text, const char *part);
