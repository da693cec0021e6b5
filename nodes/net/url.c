/* SPDX-License-Identifier: MIT */
/* RFC 3986, as far as a server can be meant. */
#include "nodes/net/url.h"

#include <errno.h>
#include <string.h>

#include "core/base/assertion.h"

static const struct sl_pos NO_POS = {0, 0};

/* The part of `text` before the first of `ends`; it is cut off. */
static struct sl_slice cut(struct sl_slice *text, const char *ends)
{
    size_t size = 0;
    while (size < text->size && strchr(ends, text->data[size]) == NULL) size++;
    struct sl_slice part = sl_slice_make(text->data, size);
    *text = sl_slice_make(text->data + size, text->size - size);
    return part;
}

static int hex_of(uint8_t byte)
{
    if (byte >= '0' && byte <= '9') return byte - '0';
    if (byte >= 'a' && byte <= 'f') return byte - 'a' + 10;
    if (byte >= 'A' && byte <= 'F') return byte - 'A' + 10;
    return -1;
}

static bool unix_path_decode(struct sl_slice text, char ret_path[SL_SOCKET_PATH_MAX + 1])
{
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        int byte = text.data[i];
        if (byte == '%') {
            if (i + 2 >= text.size) return false;
            int high = hex_of(text.data[i + 1]);
            int low = hex_of(text.data[i + 2]);
            if (high < 0 || low < 0) return false;
            byte = high * 16 + low;
            i += 2;
        }
        if (byte == 0 || size >= SL_SOCKET_PATH_MAX) return false;
        ret_path[size++] = (char)byte;
    }
    ret_path[size] = '\0';
    return size > 0;
}

static bool port_parse(struct sl_slice text, uint16_t *ret_port)
{
    uint32_t port = 0;
    if (text.size == 0 || text.size > 5) return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') return false;
        port = port * 10 + (uint32_t)(text.data[i] - '0');
    }
    if (port == 0 || port > UINT16_MAX) return false;
    *ret_port = (uint16_t)port;
    return true;
}

/* RFC 3986 section 3.2.2 of a name, or of what stands in brackets. */
static bool host_is_valid(struct sl_slice host, bool is_v6)
{
    if (host.size == 0 || host.size > 253) return false;
    for (size_t i = 0; i < host.size; i++) {
        uint8_t byte = host.data[i];
        bool is_plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                        (byte >= '0' && byte <= '9') || byte == '.';
        if (is_v6 ? byte != ':' && !is_plain : byte != '-' && byte != '_' && !is_plain) {
            return false;
        }
    }
    return true;
}

static int authority_parse(struct sl_net_url *url, struct sl_diag *reterr)
{
    struct sl_slice rest = url->authority;
    bool is_v6 = rest.size > 0 && rest.data[0] == '[';
    url->port = 80;
    if (memchr(rest.data, '@', rest.size) != NULL) {
        (void)sl_diag_set(reterr, "bad_url", NO_POS, "a user in a url is not supported");
        sl_diag_hint(reterr, "set the field Authorization by \"header\", from a secret");
        return -EINVAL;
    }
    if (is_v6) rest = sl_slice_make(rest.data + 1, rest.size - 1);
    url->host = cut(&rest, is_v6 ? "]" : ":");
    bool is_fine = host_is_valid(url->host, is_v6) && (!is_v6 || rest.size > 0);
    if (is_v6 && rest.size > 0) rest = sl_slice_make(rest.data + 1, rest.size - 1);
    if (rest.size > 0) {
        is_fine = is_fine && rest.data[0] == ':' &&
                  port_parse(sl_slice_make(rest.data + 1, rest.size - 1), &url->port);
    }
    if (is_fine) return 0;
    return sl_diag_set(reterr, "bad_url", NO_POS, "\"%.*s\" is not HOST or HOST:PORT",
                       SL_SLICE_FMT(url->authority));
}

static int scheme_parse(struct sl_slice *text, bool *ret_is_unix, struct sl_diag *reterr)
{
    static const char plain[] = "http://";
    static const char un[] = "http+unix://";
    *ret_is_unix = sl_slice_has_prefix(*text, SL_SLICE("http+unix://"));
    if (*ret_is_unix || sl_slice_has_prefix(*text, SL_SLICE("http://"))) {
        size_t size = *ret_is_unix ? sizeof(un) - 1 : sizeof(plain) - 1;
        *text = sl_slice_make(text->data + size, text->size - size);
        return 0;
    }
    if (sl_slice_has_prefix(*text, SL_SLICE("https://"))) {
        (void)sl_diag_set(reterr, "no_tls", NO_POS, "https is not supported: there is no TLS yet");
        sl_diag_hint(reterr, "let a proxy beside it speak TLS, such as stunnel or nginx, and give "
                             "its http:// address");
        return -EINVAL;
    }
    (void)sl_diag_set(reterr, "bad_url", NO_POS, "expected a url that begins with http://");
    sl_diag_hint(reterr, "such as http://127.0.0.1:9000/v1, or for a unix socket "
                         "http+unix://%%2Frun%%2Fapp.sock/v1");
    return -EINVAL;
}

int sl_net_url_parse(struct sl_slice text, struct sl_net_url *ret_url, struct sl_diag *reterr)
{
    sl_assert(ret_url != NULL);
    struct sl_net_url url = {.port = 0};
    bool is_unix;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] > ' ' && text.data[i] < 0x7f && text.data[i] != '#') continue;
        return sl_diag_set(reterr, "bad_url", NO_POS,
                           "a url has visible ASCII characters only, and no #");
    }
    int err = scheme_parse(&text, &is_unix, reterr);
    if (err < 0) return err;
    url.authority = cut(&text, "/?");
    url.path = cut(&text, "?");
    if (text.size > 0) url.query = sl_slice_make(text.data + 1, text.size - 1);
    if (is_unix) {
        if (!unix_path_decode(url.authority, url.unix_path)) {
            return sl_diag_set(reterr, "bad_url", NO_POS,
                               "the path of the socket must be 1 to %d bytes, with / as %%2F",
                               SL_SOCKET_PATH_MAX);
        }
        url.authority = SL_SLICE("localhost");
    } else {
        err = authority_parse(&url, reterr);
        if (err < 0) return err;
    }
    *ret_url = url;
    return 0;
}
