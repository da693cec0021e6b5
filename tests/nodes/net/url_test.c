/* SPDX-License-Identifier: MIT */
/* URLs of servers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "nodes/net/url.h"

static void parse_of_good_urls_gives_their_parts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *parts; /* authority|host|port|unix|path|query */
    } rows[] = {
        {"http://a", "a|a|80||||"},
        {"http://a.b-c_d:81", "a.b-c_d:81|a.b-c_d|81||||"},
        {"http://127.0.0.1:65535/x/?a=b?c", "127.0.0.1:65535|127.0.0.1|65535||/x/|a=b?c|"},
        {"http://[::1]:8/", "[::1]:8|::1|8||/||"},
        {"http://[::1]", "[::1]|::1|80||||"},
        {"http://a?q", "a|a|80|||q|"},
        {"http+unix://%2Frun%2fx.sock/v1", "localhost||0|/run/x.sock|/v1||"},
        {"http+unix://@abstract", "localhost||0|@abstract|||"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sl_net_url url;
        char parts[512];
        assert_int_equal(sl_net_url_parse(sl_slice_from_str(rows[i].text), &url, NULL), 0);
        (void)snprintf(parts, sizeof(parts), "%.*s|%.*s|%u|%s|%.*s|%.*s|",
                       SL_SLICE_FMT(url.authority), SL_SLICE_FMT(url.host), url.port, url.unix_path,
                       SL_SLICE_FMT(url.path), SL_SLICE_FMT(url.query));
        assert_string_equal(parts, rows[i].parts);
    }
}

static void parse_of_bad_urls_says_why(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *code;
        const char *part;
    } rows[] = {
        {"https://a", "no_tls", "no TLS yet"},
        {"ftp://a", "bad_url", "begins with http://"},
        {"a:80", "bad_url", "begins with http://"},
        {"", "bad_url", "begins with http://"},
        {"http://", "bad_url", "HOST"},
        {"http://a:0", "bad_url", "HOST"},
        {"http://a:65536", "bad_url", "HOST"},
        {"http://a:b", "bad_url", "HOST"},
        {"http://a:", "bad_url", "HOST"},
        {"http://[::1", "bad_url", "HOST"},
        {"http://[::1]x", "bad_url", "HOST"},
        {"http://u:p@a", "bad_url", "a user"},
        {"http://a/#f", "bad_url", "no #"},
        {"http://a/b c", "bad_url", "visible"},
        {"http://a\r\nX: y", "bad_url", "visible"},
        {"http+unix://%2", "bad_url", "socket"},
        {"http+unix://%00", "bad_url", "socket"},
        {"http+unix:///x", "bad_url", "socket"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sl_net_url url;
        struct sl_diag diag = {0};
        assert_int_equal(sl_net_url_parse(sl_slice_from_str(rows[i].text), &url, &diag), -EINVAL);
        assert_string_equal(diag.code, rows[i].code);
        if (strstr(diag.text, rows[i].part) == NULL) fail_msg("%s: %s", rows[i].text, diag.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_of_good_urls_gives_their_parts),
        cmocka_unit_test(parse_of_bad_urls_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
