/* SPDX-License-Identifier: MIT */
/* Reading /metrics; see meter.h. */
#include "tests/flows/meter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char text[512 * 1024]; /* the last answer */

const char *meter_text(void)
{
    return text;
}

void meter_read(void)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", flow_path("control"));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    static const char ask[] = "GET /metrics HTTP/1.0\r\nHost: s\r\n\r\n";
    assert_true(flow_send(fd, ask, sizeof(ask) - 1));
    size_t size = 0;
    for (ssize_t got; (got = recv(fd, text + size, sizeof(text) - 1 - size, 0)) > 0;) {
        size += (size_t)got;
    }
    text[size] = '\0';
    (void)close(fd);
    flow_assert_has(text, " 200 OK\r\n");
}

double meter_sum(const char *name, const char *labels)
{
    double sum = 0;
    bool is_there = false;
    size_t size = strlen(name);
    for (const char *at = text; at != NULL; at = strchr(at, '\n')) {
        at += *at == '\n';
        if (strncmp(at, name, size) != 0 || (at[size] != ' ' && at[size] != '{')) continue;
        const char *end = strchr(at, '\n');
        assert_non_null(end);
        const char *part = strstr(at, labels);
        if (part == NULL || part > end) continue;
        const char *space = end;
        while (*space != ' ') space--;
        sum += strtod(space, NULL);
        is_there = true;
    }
    return is_there ? sum : -1;
}

void meter_check(const char *name, const char *labels, double expected, const char *file, int line)
{
    double got = meter_sum(name, labels);
    if (got == expected) return;
    print_error("%s{%s} is %.9g, expected %.9g\n", name, labels, got, expected);
    _fail(file, line);
}

void meter_above(const char *name, double least)
{
    if (meter_sum(name, "") <= least)
        fail_msg("%s is %.9g, not above %.9g", name, meter_sum(name, ""), least);
}

void meter_wait(const char *name, double value)
{
    for (int i = 0; i < 2000; i++) {
        meter_read();
        if (meter_sum(name, "") == value) return;
        flow_sleep_ms(5);
    }
    fail_msg("%s is %.9g and not %.9g", name, meter_sum(name, ""), value);
}
