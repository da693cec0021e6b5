/* SPDX-License-Identifier: MIT */
/* Any text as an address: what is accepted is written and read back as the same. */
#include <stddef.h>
#include <stdint.h>

#include "core/base/assertion.h"
#include "io/sock/sock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_addr addr;
    struct sl_addr again;
    struct sl_diag diag = {0};
    char text[SL_ADDR_TEXT_SIZE];
    if (sl_addr_parse(sl_slice_make(data, size), &addr, &diag) < 0) {
        sl_assert(diag.text[0] != 0);
        return 0;
    }
    size_t text_size = sl_addr_format(&addr, text, sizeof(text));
    sl_assert(sl_addr_parse(sl_slice_make(text, text_size), &again, NULL) == 0);
    sl_assert(sl_addr_eq(&addr, &again));
    sl_assert(addr.size == again.size);
    return 0;
}
