/* SPDX-License-Identifier: MIT */
/*
 * The public JSON parsing suite: files y_ have to be read, n_ refused, i_ may be either and are
 * listed. The folder comes from SLUICE_SUITES; without it the test is skipped (77).
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "core/mem/mem.h"
#include "tests/codecs/json/json_check.h"

enum { FILE_SIZE_MAX = 1024 * 1024 };

struct counts {
    unsigned held;
    unsigned free; /* i_ */
    unsigned wrong;
};

static void check_file(struct sl_mem *mem, const char *folder, const char *name,
                       struct counts *counts)
{
    static uint8_t data[FILE_SIZE_MAX];
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    sl_assert(file != NULL);
    size_t size = fread(data, 1, sizeof(data), file);
    (void)fclose(file);
    int result = json_check_text(mem, sl_slice_make(data, size));
    if (name[0] == 'i') {
        printf("%s: %s\n", name, result == 0 ? "read" : "refused");
        counts->free++;
    } else if ((name[0] == 'y') == (result == 0)) {
        counts->held++;
    } else {
        printf("WRONG %s: %d\n", name, result);
        counts->wrong++;
    }
}

int main(void)
{
    const char *suites = getenv("SLUICE_SUITES");
    char folder[2048];
    struct counts counts = {0, 0, 0};
    snprintf(folder, sizeof(folder), "%s/json", suites != NULL ? suites : "");
    DIR *dir = suites != NULL ? opendir(folder) : NULL;
    if (dir == NULL) {
        puts("skipped: SLUICE_SUITES names no folder with json/");
        return 77;
    }
    struct sl_mem *mem = sl_mem_new(256 * 1024 * 1024);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        size_t length = strlen(entry->d_name);
        if (length < 7 || strcmp(entry->d_name + length - 5, ".json") != 0) continue;
        if (entry->d_name[1] != '_' || strchr("yni", entry->d_name[0]) == NULL) continue;
        check_file(mem, folder, entry->d_name, &counts);
    }
    (void)closedir(dir);
    (void)sl_mem_free(mem);
    printf("%u held, %u free, %u wrong\n", counts.held, counts.free, counts.wrong);
    return counts.wrong > 0 || counts.held == 0;
}
