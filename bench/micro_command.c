/* SPDX-License-Identifier: MIT */
/*
 * sluice-bench micro, sluice-bench scale: hand over to sluice-bench-micro, which stands beside this
 * program. It links the engine; this one knows nothing of it, so that it measures anybody's server.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/command.h"
#include "bench/spawn.h"

static int hand_over(const char *command, int argc, char **argv)
{
    static const char name[] = "sluice-bench-micro";
    char bin[512];
    char path[600];
    char **words = calloc((size_t)argc + 3, sizeof(*words));
    if (words == NULL) return SL_EXIT_INTERNAL;
    words[0] = (char *)(uintptr_t)name;
    words[1] = (char *)(uintptr_t)command;
    for (int i = 0; i < argc; i++) words[i + 2] = argv[i];
    sl_spawn_bin_dir(bin, sizeof(bin));
    (void)snprintf(path, sizeof(path), "%s/%s", bin, name);
    (void)execv(path, words);
    (void)execvp(name, words);
    (void)fprintf(stderr, "error: cannot run %s: %s\n  hint: it is built beside sluice-bench\n",
                  name, strerror(errno));
    free(words);
    return SL_EXIT_TARGET;
}

int sl_command_micro(int argc, char **argv)
{
    return hand_over("micro", argc, argv);
}

int sl_command_scale(int argc, char **argv)
{
    return hand_over("scale", argc, argv);
}
