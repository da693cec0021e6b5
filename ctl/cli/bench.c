/* SPDX-License-Identifier: MIT */
/* bench: hands over to `sluice-bench`, which stands beside this program or in PATH. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/cli/cli.h"

static const char bench_name[] = "sluice-bench";

/* "DIR-OF-THIS-PROGRAM/sluice-bench"; false if that is not there. */
static bool beside(char *path, size_t path_size)
{
    ssize_t size = readlink("/proc/self/exe", path, path_size - sizeof(bench_name) - 1);
    if (size <= 0) return false;
    path[size] = '\0';
    char *slash = strrchr(path, '/');
    if (slash == NULL) return false;
    memcpy(slash + 1, bench_name, sizeof(bench_name));
    return access(path, X_OK) == 0;
}

bool cli_bench_find(char *buf, size_t buf_size)
{
    if (beside(buf, buf_size)) return true;
    const char *path = getenv("PATH");
    while (path != NULL && *path != '\0') {
        size_t size = strcspn(path, ":");
        (void)snprintf(buf, buf_size, "%.*s/%s", (int)size, path, bench_name);
        if (size > 0 && access(buf, X_OK) == 0) return true;
        path += size + (path[size] == ':');
    }
    return false;
}

int cli_bench(struct cli_args *args)
{
    char path[4096];
    size_t count;
    const char *const *operands = cli_operands(args, &count);
    char **words = calloc(count + 2, sizeof(*words));
    if (words == NULL) return CLI_FAILED;
    words[0] = (char *)(uintptr_t)bench_name;
    for (size_t i = 0; i < count; i++) words[i + 1] = (char *)(uintptr_t)operands[i];
    if (beside(path, sizeof(path))) (void)execv(path, words);
    (void)execvp(bench_name, words);
    int error = errno;
    cli_error("cannot run %s: %s", bench_name, strerror(error));
    if (error == ENOENT) {
        (void)fprintf(stderr,
                      "  hint: it is a program of its own, built beside this one (ninja -C build "
                      "%s, or ./dev build)\n"
                      "        and looked for in the folder of this program, then in PATH\n",
                      bench_name);
    }
    free(words);
    return CLI_UNREACHABLE;
}
