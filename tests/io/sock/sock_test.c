/* SPDX-License-Identifier: MIT */
/* Addresses as text, listening sockets, and a walk over all interleavings of the waker. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/assertion.h"
#include "io/sock/sock.h"
#include "io/sock/waker.h"

static void addr_parse_valid_formats_back(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"127.0.0.1:8000", "127.0.0.1:8000"},
        {":80", "127.0.0.1:80"},
        {"localhost:0", "127.0.0.1:0"},
        {"0.0.0.0:65535", "0.0.0.0:65535"},
        {"*:8000", "[::]:8000"},
        {"[::1]:1", "[::1]:1"},
        {"[2001:db8::7]:443", "[2001:db8::7]:443"},
        {"unix:/run/x.sock", "unix:/run/x.sock"},
        {"unix:@name", "unix:@name"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_addr addr;
        struct sl_addr again;
        char text[SL_ADDR_TEXT_SIZE];
        assert_int_equal(sl_addr_parse(sl_slice_from_str(cases[i][0]), &addr, NULL), 0);
        size_t size = sl_addr_format(&addr, text, sizeof(text));
        assert_string_equal(text, cases[i][1]);
        assert_int_equal(size, strlen(text));
        assert_int_equal(sl_addr_parse(sl_slice_from_str(text), &again, NULL), 0);
        assert_true(sl_addr_eq(&addr, &again));
        assert_int_equal(again.size, addr.size);
    }
}

static void addr_parse_invalid_says_what_was_expected(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",        "8000",      "127.0.0.1",   "127.0.0.1:",     "127.0.0.1:65536", "127.0.0.1:x",
        "::1:80",  "[::1]",     "[::1:80",     "example.org:80", "1.2.3:80",        "unix:",
        "unix:@",  "[]:80",     "[1.2.3.4]:1", "127.0.0.1:-1",   "127.0.0.1:+1",    "a:b:c",
        "[::g]:1", "1.2.3.4:1 "};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_addr addr;
        struct sl_diag diag = {0};
        assert_int_equal(sl_addr_parse(sl_slice_from_str(cases[i]), &addr, &diag), -EINVAL);
        assert_string_equal(diag.code, "bad_address");
        assert_true(strlen(diag.text) > 0);
        assert_true(strlen(diag.hint) > 0);
    }
}

static void addr_parse_path_length_limited(void **state)
{
    (void)state;
    char text[5 + 109];
    struct sl_addr addr;
    memset(text, 'a', sizeof(text));
    memcpy(text, "unix:/", 6);
    assert_int_equal(sl_addr_parse(sl_slice_make(text, 5 + 107), &addr, NULL), 0);
    assert_int_equal(sl_addr_parse(sl_slice_make(text, 5 + 108), &addr, NULL), -EINVAL);
    assert_int_equal(sl_addr_parse(sl_slice_make("unix:a\0b", 8), &addr, NULL), -EINVAL);
}

static void addr_make_host_and_port(void **state)
{
    (void)state;
    struct sl_addr addr;
    char text[SL_ADDR_TEXT_SIZE];
    assert_int_equal(sl_addr_make(SL_SLICE("::1"), 8, &addr, NULL), 0);
    (void)sl_addr_format(&addr, text, sizeof(text));
    assert_string_equal(text, "[::1]:8");
    assert_int_equal(sl_addr_port(&addr), 8);
    assert_int_equal(sl_addr_make(SL_SLICE(""), 9, &addr, NULL), 0);
    (void)sl_addr_format(&addr, text, sizeof(text));
    assert_string_equal(text, "127.0.0.1:9");
    assert_int_equal(sl_addr_make(SL_SLICE("no.such.name"), 9, &addr, NULL), -EINVAL);
}

static void listen_unix_stale_file_replaced_live_one_not(void **state)
{
    (void)state;
    char text[64];
    struct sl_addr addr;
    (void)snprintf(text, sizeof(text), "unix:/tmp/sl-sock-test-%d", (int)getpid());
    assert_int_equal(sl_addr_parse(sl_slice_from_str(text), &addr, NULL), 0);
    int first = sl_sock_listen(&addr, false, 0);
    assert_true(first >= 0);
    assert_int_equal(sl_sock_listen(&addr, false, 0), -EADDRINUSE);
    (void)close(first); /* the file stays */
    int second = sl_sock_listen(&addr, false, 0);
    assert_true(second >= 0);
    (void)close(second);
    (void)unlink(text + 5);
}

static void listen_any_takes_both_families(void **state)
{
    (void)state;
    struct sl_addr any;
    assert_int_equal(sl_addr_parse(SL_SLICE("*:0"), &any, NULL), 0);
    int fd = sl_sock_listen(&any, false, 0);
    if (fd == -EAFNOSUPPORT) skip();
    assert_true(fd >= 0);
    struct sl_addr local;
    struct sl_addr v4;
    assert_int_equal(sl_sock_local(fd, &local), 0);
    assert_int_equal(sl_addr_make(SL_SLICE("127.0.0.1"), sl_addr_port(&local), &v4, NULL), 0);
    int client = sl_sock_new(&v4);
    int r = connect(client, (struct sockaddr *)&v4.storage, v4.size);
    assert_true(r == 0 || errno == EINPROGRESS);
    struct pollfd wait = {.fd = client, .events = POLLOUT};
    assert_int_equal(poll(&wait, 1, 5000), 1);
    assert_false(wait.revents & POLLERR);
    (void)close(client);
    (void)close(fd);
}

static void wait_free_until_listener_closes(void **state)
{
    (void)state;
    struct sl_addr addr;
    assert_int_equal(sl_addr_parse(SL_SLICE("127.0.0.1:0"), &addr, NULL), 0);
    assert_int_equal(sl_sock_wait_free(&addr, 0), 0); /* any port: always free */
    int fd = sl_sock_listen(&addr, true, 0);
    assert_true(fd >= 0);
    assert_int_equal(sl_sock_local(fd, &addr), 0);
    assert_int_equal(sl_sock_wait_free(&addr, 5), -EADDRINUSE); /* although it is shared */
    (void)close(fd);
    assert_int_equal(sl_sock_wait_free(&addr, 1000), 0);
    fd = sl_sock_listen(&addr, true, 0);
    assert_true(fd >= 0);
    (void)close(fd);
}

/*
 * The waker, walked: two wakers and a sleeper, each a list of the steps that waker.h names. All
 * interleavings of them are run on the real struct (each step is one sequentially consistent
 * action). The kernel's side: the sleeper blocks until the eventfd rings. Lost means: both wakers
 * are done, the sleeper blocks for ever and has not seen every message.
 */
struct model {
    struct sl_waker waker;
    int at[3];       /* next step: sleeper, waker 1, waker 2 */
    bool first[3];   /* ask returned true */
    bool asleep[3];  /* look returned true */
    bool posted[3];  /* the wakers' messages */
    bool seen[3];    /* by the sleeper */
    int rung;        /* edges not yet consumed */
    int turns;       /* of the sleeper */
    bool is_blocked; /* in the kernel */
};

enum { STEP_POST, STEP_ASK, STEP_LOOK, STEP_RING, STEP_END };
enum { SLEEP_CHECK, SLEEP_ANNOUNCE, SLEEP_LOOK, SLEEP_BLOCK, SLEEP_RISE, SLEEP_STEPS };

static void waker_step(struct model *m, int who)
{
    switch (m->at[who]++) {
    case STEP_POST: m->posted[who] = true; break;
    case STEP_ASK:
        m->first[who] = sl_waker_ask(&m->waker);
        if (!m->first[who]) m->at[who] = STEP_END;
        break;
    case STEP_LOOK:
        m->asleep[who] = sl_waker_look(&m->waker);
        if (!m->asleep[who]) m->at[who] = STEP_END;
        break;
    case STEP_RING: m->rung++; break;
    default: sl_unreachable();
    }
}

/* The loop: look at the messages, then wait as a poller does. */
static void sleeper_step(struct model *m)
{
    switch (m->at[0]++) {
    case SLEEP_CHECK:
        for (int i = 1; i <= 2; i++) m->seen[i] = m->posted[i];
        break;
    case SLEEP_ANNOUNCE: sl_waker_announce(&m->waker); break;
    case SLEEP_LOOK:
        if (sl_waker_is_pending(&m->waker)) m->at[0] = SLEEP_RISE;
        break;
    case SLEEP_BLOCK: m->rung = 0; break;
    case SLEEP_RISE:
        sl_waker_rise(&m->waker);
        m->at[0] = SLEEP_CHECK;
        m->turns++;
        break;
    default: sl_unreachable();
    }
}

static uint64_t walked;
static uint64_t lost;

static bool may_step(const struct model *m, int who)
{
    if (who == 0) return !(m->at[0] == SLEEP_BLOCK && m->rung == 0) && m->turns < 4;
    return m->at[who] < STEP_END;
}

/* The depth is bounded by the steps: 4 turns of 5 and 2 × 4. */
static void walk(const struct model *m)
{
    bool stuck = true;
    for (int who = 0; who < 3; who++) {
        if (!may_step(m, who)) continue;
        struct model next = *m;
        stuck = false;
        if (who == 0) {
            sleeper_step(&next);
        } else {
            waker_step(&next, who);
        }
        walk(&next);
    }
    if (!stuck) return;
    walked++;
    bool blocked = m->at[0] == SLEEP_BLOCK && m->rung == 0;
    if (blocked && !(m->seen[1] && m->seen[2])) lost++;
}

static void waker_all_interleavings_none_lost(void **state)
{
    (void)state;
    struct model m = {0};
    walked = lost = 0;
    walk(&m);
    assert_true(walked > 10000);
    assert_int_equal(lost, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addr_parse_valid_formats_back),
        cmocka_unit_test(addr_parse_invalid_says_what_was_expected),
        cmocka_unit_test(addr_parse_path_length_limited),
        cmocka_unit_test(addr_make_host_and_port),
        cmocka_unit_test(listen_unix_stale_file_replaced_live_one_not),
        cmocka_unit_test(listen_any_takes_both_families),
        cmocka_unit_test(wait_free_until_listener_closes),
        cmocka_unit_test(waker_all_interleavings_none_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
