/* SPDX-License-Identifier: MIT */
#include "tests/ctl/cli/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { START_WAIT_MS = 30000, START_STEP_MS = 10 };

void fixture_init(struct fixture *fixture, const char *program)
{
    /* Commits are synced: memory is faster than a disk. */
    const char *base = getenv("TMPDIR");
    if (base == NULL) base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    *fixture = (struct fixture){.program = program};
    (void)snprintf(fixture->dir, sizeof(fixture->dir), "%s/sluice-cli-XXXXXX", base);
    assert_non_null(mkdtemp(fixture->dir));
}

void fixture_fini(struct fixture *fixture)
{
    char command[512];
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", fixture->dir);
    assert_int_equal(system(command), 0);
}

static void file_get(const char *dir, const char *name, char *text)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *file = fopen(path, "r");
    size_t size = file != NULL ? fread(text, 1, RUN_TEXT_SIZE - 1, file) : 0;
    text[size] = '\0';
    if (file != NULL) (void)fclose(file);
}

/* "cd DIR && HOW env -u … PROGRAM WORDS"; `command` has RUN_COMMAND_SIZE bytes. */
static void command_make(const struct fixture *fixture, char *command, const char *how,
                         const char *fmt, va_list args)
{
    char words[4096];
    (void)vsnprintf(words, sizeof(words), fmt, args);
    (void)snprintf(command, RUN_COMMAND_SIZE,
                   "cd '%s' && %s env -u SLUICE_DATA -u SLUICE_NAMESPACE -u SLUICE_KEY '%s' %s",
                   fixture->cwd != NULL ? fixture->cwd : fixture->dir, how, fixture->program,
                   words);
}

int run(struct fixture *fixture, const char *fmt, ...)
{
    char command[RUN_COMMAND_SIZE];
    char whole[RUN_COMMAND_SIZE + 1024];
    va_list args;
    va_start(args, fmt);
    command_make(fixture, command, "", fmt, args);
    va_end(args);
    (void)snprintf(whole, sizeof(whole), "(%s) >'%s/.out' 2>'%s/.err'", command, fixture->dir,
                   fixture->dir);
    int status = system(whole);
    file_get(fixture->dir, ".out", fixture->run.out);
    file_get(fixture->dir, ".err", fixture->run.err);
    fixture->run.exit = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return fixture->run.exit;
}

long run_start(struct fixture *fixture, const char *fmt, ...)
{
    char command[RUN_COMMAND_SIZE];
    char path[512];
    va_list args;
    va_start(args, fmt);
    command_make(fixture, command, "exec", fmt, args);
    va_end(args);
    (void)snprintf(path, sizeof(path), "%s/.log", fixture->dir);
    (void)unlink(path);
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves no server behind */
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        (void)dup2(fd, 1);
        (void)dup2(fd, 2);
        (void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    static char text[RUN_TEXT_SIZE];
    for (int waited = 0; waited < START_WAIT_MS; waited += START_STEP_MS) {
        file_get(fixture->dir, ".log", text);
        if (strstr(text, ": ready, ") != NULL) return pid;
        if (waitpid(pid, NULL, WNOHANG) == pid) break;
        (void)poll(NULL, 0, START_STEP_MS);
    }
    print_error("the runtime did not start: %s\n", text);
    return -1;
}

int run_stop(long pid)
{
    int status = 0;
    (void)kill((pid_t)pid, SIGTERM);
    while (waitpid((pid_t)pid, &status, 0) < 0 && errno == EINTR) continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void file_put(struct fixture *fixture, const char *name, const char *text)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", fixture->dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

bool contains(const char *text, const char *part)
{
    if (strstr(text, part) != NULL) return true;
    print_error("\"%s\" is not in:\n%s\n", part, text);
    return false;
}
