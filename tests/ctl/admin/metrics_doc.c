/* SPDX-License-Identifier: MIT */
/* --check FILE: docs/METRICS.md says what the table says. --write FILE: makes it say so. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/admin/metrics.h"

static int check(const char *path, const struct sl_out *out)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    char *text = malloc(out->size + 2);
    size_t size = text != NULL ? fread(text, 1, out->size + 1, file) : 0;
    (void)fclose(file);
    bool same = text != NULL && size == out->size && memcmp(text, out->data, size) == 0;
    free(text);
    if (!same) (void)fprintf(stderr, "%s is not what the table says: write it anew\n", path);
    return same ? 0 : 1;
}

static int write_all(const char *path, const struct sl_out *out)
{
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    bool well = fwrite(out->data, 1, out->size, file) == out->size;
    return fclose(file) == 0 && well ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        (void)fprintf(stderr, "usage: metrics_doc --check|--write FILE\n");
        return 2;
    }
    struct sl_out out;
    sl_out_init(&out, NULL);
    sl_metrics_doc_write(&out);
    int r = strcmp(argv[1], "--write") == 0 ? write_all(argv[2], &out) : check(argv[2], &out);
    sl_out_fini(&out);
    return r;
}
