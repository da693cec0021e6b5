/* SPDX-License-Identifier: MIT */
/*
 * Replay a corpus through a fuzz target without a fuzzer: every file of the folders given, whole,
 * and every prefix of the small ones, so that a cut at every point is tried.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FILE_SIZE_MAX = 16 * 1024 * 1024, PREFIX_SIZE_MAX = 4096 };

/* An exact copy on the heap, so that AddressSanitizer sees a read behind its end. */
static void run(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (copy == NULL) abort();
    if (size > 0) memcpy(copy, data, size);
    (void)LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) return 0;
    uint8_t *data = malloc(FILE_SIZE_MAX);
    if (data == NULL) abort();
    size_t size = fread(data, 1, FILE_SIZE_MAX, file);
    (void)fclose(file);
    run(data, size);
    for (size_t cut = 0; size <= PREFIX_SIZE_MAX && cut < size; cut++) run(data, cut);
    free(data);
    return 1;
}

int main(int argc, char **argv)
{
    int count = 0;
    for (int i = 1; i < argc; i++) {
        DIR *folder = opendir(argv[i]);
        if (folder == NULL) {
            (void)fprintf(stderr, "no folder %s\n", argv[i]);
            return 1;
        }
        struct dirent *entry;
        while ((entry = readdir(folder)) != NULL) {
            char path[4096];
            if (entry->d_name[0] == '.') continue;
            (void)snprintf(path, sizeof(path), "%s/%s", argv[i], entry->d_name);
            count += replay_file(path);
        }
        (void)closedir(folder);
    }
    (void)printf("%d files replayed\n", count);
    return count > 0 ? 0 : 1;
}
