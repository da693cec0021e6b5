/* SPDX-License-Identifier: MIT */
#include "bench/micro/sample.h"

#include <stdio.h>
#include <string.h>

#include "codecs/json/json.h"
#include "core/base/assertion.h"

enum { LARGE_ITEMS = 70, LARGE_SIZE_MAX = 32 * 1024 };

/* That of bench/peers/echo.json. */
const char SL_SAMPLE_JSON[] =
    "{\"id\":\"a1b2c3d4\",\"count\":41,\"user\":{\"name\":\"Ada Lovelace\",\"age\":36,"
    "\"email\":\"ada@example.org\"},\"tags\":[\"alpha\",\"beta\",\"gamma\"],\"active\":true,"
    "\"score\":12.5,\"note\":\"hello\"}";

const char SL_SAMPLE_PING[] = "GET /ping HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n";

const char SL_SAMPLE_BROWSER[] =
    "GET /api/v1/orders?page=2&size=50 HTTP/1.1\r\n"
    "Host: shop.example.com\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8\r\n"
    "Accept-Language: en-US,en;q=0.5\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Referer: https://shop.example.com/orders\r\n"
    "Connection: keep-alive\r\n"
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; lang=en\r\n"
    "Sec-Fetch-Dest: document\r\n"
    "Sec-Fetch-Mode: navigate\r\n"
    "Sec-Fetch-Site: same-origin\r\n\r\n";

const char SL_SAMPLE_POST[] = "POST /echo HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n"
                              "Content-Type: application/json\r\nContent-Length: 169\r\n\r\n";

const char SL_SAMPLE_REQUEST[] =
    "{\"method\":\"POST\",\"scheme\":\"http\",\"host\":\"example.com\",\"path\":\"/api/v1/orders\","
    "\"query\":{\"page\":\"2\"},\"protocol\":\"HTTP/1.1\",\"header\":{\"host\":\"example.com\","
    "\"user-agent\":\"curl/8.5\",\"accept\":\"*/*\",\"content-type\":\"application/json\","
    "\"content-length\":\"170\"},\"body\":{\"id\":42,\"user\":{\"name\":\"Ada\",\"age\":36,"
    "\"email\":\"ada@example.com\"},\"items\":[{\"sku\":\"a\",\"price\":10},{\"sku\":\"b\","
    "\"price\":30},{\"sku\":\"c\",\"price\":120}],\"tags\":[\"new\",\"paid\",\"eu\"]}}";

const char *sl_sample_json_large(void)
{
    static char text[LARGE_SIZE_MAX];
    size_t size = strlen(SL_SAMPLE_JSON);
    if (text[0] != '\0') return text;
    size_t at = 0;
    for (int i = 0; i < LARGE_ITEMS; i++) {
        text[at++] = i == 0 ? '[' : ',';
        memcpy(text + at, SL_SAMPLE_JSON, size);
        at += size;
        sl_assert(at + 2 < sizeof(text));
    }
    text[at++] = ']';
    text[at] = '\0';
    return text;
}

struct sl_value sl_sample_value(const char *text, struct sl_mem *mem)
{
    struct sl_value value;
    struct sl_diag diag = {0};
    int result = sl_json_parse(sl_slice_from_str(text), NULL, mem, 0, &value, &diag);
    if (result != 0) (void)fprintf(stderr, "%s\n", diag.text);
    sl_assert(result == 0);
    return value;
}
