/* SPDX-License-Identifier: MIT */
/*
 * Histograms from outside. The input is the uncompressed form; it is put into base 64 here, so that
 * mutations reach the counts. What is accepted must come back equal after writing it again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bench/hdr_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *base64(const uint8_t *data, size_t size, size_t *ret_size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t groups = size / 3;
    char *text = malloc(groups * 4 + 1);
    if (text == NULL) abort();
    for (size_t i = 0; i < groups; i++) {
        uint32_t bits =
            (uint32_t)data[i * 3] << 16 | (uint32_t)data[i * 3 + 1] << 8 | data[i * 3 + 2];
        for (size_t j = 0; j < 4; j++) text[i * 4 + j] = digits[bits >> (18 - 6 * j) & 63];
    }
    *ret_size = groups * 4;
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t text_size;
    if (size > 4096) return 0;
    char *text = base64(data, size, &text_size);
    struct sl_hdr *hdr;
    if (sl_hdr_decode(text, text_size, &hdr) == 0) {
        char *again = sl_hdr_encode(hdr);
        struct sl_hdr *back;
        if (again == NULL) abort();
        if (sl_hdr_decode(again, strlen(again), &back) != 0) abort();
        if (back->counts_count != hdr->counts_count) abort();
        if (memcmp(back->counts, hdr->counts, hdr->counts_count * sizeof(*hdr->counts)) != 0)
            abort();
        (void)sl_hdr_percentile(hdr, 99);
        free(again);
        sl_hdr_free(back);
        sl_hdr_free(hdr);
    }
    free(text);
    return 0;
}
