/* SPDX-License-Identifier: MIT */
/*
 * The kind http against servers that misbehave, against this program itself, and against nginx. The
 * misbehaving server is a script of this test: the path says what it does.
 */
#include "tests/flows/harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/flows/load.h"

enum { HEAD_MAX = 8192, SWAPS = 40, LOAD_CONNS = 32, STEP_MS = 10 };

static struct flow_server server;
static int port;
static int script_port;
static int nginx_port;
static pid_t nginx;

/* ---- a server that does what its path says --------------------------------------------------- */

static struct {
    int listener;
    int unix_listener;
    _Atomic int opened; /* connections, ever */
    _Atomic int open;   /* now */
    _Atomic int requests;
    _Atomic int given_up; /* the client closed while it waited for /never */
} script;

static const struct {
    const char *path;
    const char *bytes;
    bool closes;
} answers[] = {
    {"ok", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false},
    {"json",
     "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 18\r\n\r\n"
     "{\"n\": 1.50, \"n\":2}",
     false},
    {"missing", "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope", false},
    {"chunked",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1;x=y\r\nk\r\n0\r\nA: "
     "b\r\n\r\n",
     false},
    {"continue", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
     false},
    {"until", "HTTP/1.0 200 OK\r\n\r\nok", true},
    {"extra", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n", false},
    {"early", "", true},
    {"half", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok", true},
    {"head", "HTTP/1.1 200 O", true},
    {"lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", false},
    {"both", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     false},
    {"folded", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 2\r\n\r\nok", false},
    {"coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", false},
    {"chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", false},
    {"large", "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", false},
    {"switch", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", false},
    {"noise", "this is no HTTP\r\n\r\n", false},
};

static bool read_head(int fd, char *head)
{
    size_t used = 0;
    head[0] = '\0';
    while (strstr(head, "\r\n\r\n") == NULL) {
        ssize_t n = recv(fd, head + used, HEAD_MAX - used - 1, 0);
        if (n <= 0) return false;
        used += (size_t)n;
        head[used] = '\0';
    }
    return true;
}

/* Each byte alone. */
static void send_split(int fd, const char *bytes)
{
    for (size_t i = 0; bytes[i] != '\0'; i++) {
        (void)flow_send(fd, bytes + i, 1);
        (void)usleep(200);
    }
}

/* False: the connection ends. */
static bool script_answer(int fd, const char *word, size_t word_size)
{
    if (word_size > 6 && memcmp(word, "split-", 6) == 0) {
        for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
            if (strncmp(answers[i].path, word + 6, word_size - 6) != 0) continue;
            send_split(fd, answers[i].bytes);
            return !answers[i].closes;
        }
    }
    if (word_size == 5 && memcmp(word, "never", 5) == 0) {
        char byte;
        if (recv(fd, &byte, 1, 0) == 0) atomic_fetch_add(&script.given_up, 1);
        return false;
    }
    if (word_size == 7 && memcmp(word, "endless", 7) == 0) {
        static const char head[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        bool goes_on = flow_send(fd, head, sizeof(head) - 1);
        while (goes_on) goes_on = flow_send(fd, "10\r\n0123456789abcdef\r\n", 22);
        return false;
    }
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        if (strlen(answers[i].path) != word_size || memcmp(answers[i].path, word, word_size) != 0) {
            continue;
        }
        return flow_send(fd, answers[i].bytes, strlen(answers[i].bytes)) && !answers[i].closes;
    }
    return false;
}

static void *script_connection(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char head[HEAD_MAX];
    int one = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    while (read_head(fd, head)) {
        atomic_fetch_add(&script.requests, 1);
        const char *word = strchr(head, '/') + 1;
        if (!script_answer(fd, word, strcspn(word, " ?/"))) break;
    }
    (void)close(fd);
    atomic_fetch_sub(&script.open, 1);
    return NULL;
}

static void *script_main(void *arg)
{
    for (;;) {
        pthread_t thread;
        int fd = accept(*(int *)arg, NULL, NULL);
        if (fd < 0) return NULL;
        atomic_fetch_add(&script.opened, 1);
        atomic_fetch_add(&script.open, 1);
        if (pthread_create(&thread, NULL, script_connection, (void *)(intptr_t)fd) == 0) {
            (void)pthread_detach(thread);
        }
    }
}

static void script_start(void)
{
    pthread_t thread;
    struct sockaddr_in addr = {.sin_family = AF_INET};
    socklen_t size = sizeof(addr);
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    script.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(script.listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(script.listener, 64), 0);
    assert_int_equal(getsockname(script.listener, (struct sockaddr *)&addr, &size), 0);
    script_port = ntohs(addr.sin_port);
    assert_int_equal(pthread_create(&thread, NULL, script_main, &script.listener), 0);
    (void)pthread_detach(thread);
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    (void)snprintf(un.sun_path, sizeof(un.sun_path), "%s/script", flow_dir());
    script.unix_listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(script.unix_listener, (struct sockaddr *)&un, sizeof(un)), 0);
    assert_int_equal(listen(script.unix_listener, 64), 0);
    assert_int_equal(pthread_create(&thread, NULL, script_main, &script.unix_listener), 0);
    (void)pthread_detach(thread);
}

/* Until a count is not above `value` any more, or is; a test that waits in vain fails then. */
static void wait_while_over(_Atomic int *count, int value)
{
    for (int ms = 0; ms < FLOW_WAIT_MS && atomic_load(count) > value; ms += STEP_MS) {
        flow_sleep_ms(STEP_MS);
    }
}

static void wait_until_over(_Atomic int *count, int value)
{
    for (int ms = 0; ms < FLOW_WAIT_MS && atomic_load(count) <= value; ms += STEP_MS) {
        flow_sleep_ms(STEP_MS);
    }
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void expect(const char *method, const char *path, int status, const char *text)
{
    struct flow_reply reply;
    int got = flow_ask(port, method, path, NULL, &reply);
    if (got != status || strstr(reply.body, text) == NULL) {
        fail_msg("%s %s: %d %s instead of %d %s", method, path, got, reply.body, status, text);
    }
    flow_reply_fini(&reply);
}

static void good_answers_arrive_however_they_are_framed(void **state)
{
    (void)state;
    static const char *const paths[] = {"ok", "chunked", "continue", "until", "extra"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        expect("GET", flow_text("/script/%s", paths[i]), 200, "ok");
        if (i < 4) expect("GET", flow_text("/script/split-%s", paths[i]), 200, "ok");
    }
    expect("GET", "/unix/ok", 200, "ok");
    expect("GET", "/unix/split-chunked", 200, "ok");
}

static void any_status_is_an_answer_unless_told_otherwise(void **state)
{
    (void)state;
    expect("GET", "/script/missing", 404, "nope");
    expect("GET", "/strict/missing", 502, "http_status 404 nope");
    expect("GET", "/strict/ok", 200, "ok");
}

static void broken_answers_are_errors_and_end_their_connection(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        const char *code;
    } rows[] = {
        {"half", "http_protocol"},          {"head", "http_protocol"},
        {"lengths", "http_protocol"},       {"both", "http_protocol"},
        {"coding", "http_protocol"},        {"chunk", "http_protocol"},
        {"switch", "http_protocol"},        {"noise", "http_protocol"},
        {"folded", "http_protocol"},        {"large", "http_body_too_large"},
        {"endless", "http_body_too_large"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect("GET", flow_text("/script/%s", rows[i].path), 502, rows[i].code);
    }
    /* The only one that may take long enough, however busy the machine is. */
    expect("GET", "/hasty/never", 502, "http_timeout");
    expect("GET", "/closed", 502, "http_connect");
    /* Those that are kept are good ones. */
    wait_while_over(&script.open, 4);
    assert_in_range(atomic_load(&script.open), 0, 4);
    expect("GET", "/script/ok", 200, "ok");
}

static void request_without_an_answer_is_sent_again_if_idempotent(void **state)
{
    (void)state;
    int requests = atomic_load(&script.requests);
    expect("GET", "/script/early", 502, "http_protocol");
    assert_int_equal(atomic_load(&script.requests) - requests, 3); /* retries: 2 */
    requests = atomic_load(&script.requests);
    expect("POST", "/script/early", 502, "http_protocol");
    assert_int_equal(atomic_load(&script.requests) - requests, 1);
}

static void connections_are_kept_and_used_again(void **state)
{
    (void)state;
    expect("GET", "/script/ok", 200, "ok");
    int opened = atomic_load(&script.opened);
    for (int i = 0; i < 50; i++) expect("GET", "/script/ok", 200, "ok");
    /* The other shard may have had none yet. */
    assert_true(atomic_load(&script.opened) <= opened + 1);
}

/* The client of the listener goes away: so does the request that was sent for it. */
static void client_that_leaves_takes_its_request_along(void **state)
{
    (void)state;
    static const char request[] = "GET /patient/never HTTP/1.1\r\nHost: x\r\n\r\n";
    int given_up = atomic_load(&script.given_up);
    int requests = atomic_load(&script.requests);
    int fd = flow_connect(port);
    assert_true(flow_send(fd, request, sizeof(request) - 1));
    wait_until_over(&script.requests, requests);
    assert_int_equal(atomic_load(&script.given_up), given_up);
    (void)close(fd);
    wait_until_over(&script.given_up, given_up);
    assert_int_equal(atomic_load(&script.given_up), given_up + 1);
}

static void name_that_does_not_exist_is_an_error(void **state)
{
    (void)state;
    struct flow_reply reply;
    assert_int_equal(flow_ask(port, "GET", "/name", NULL, &reply), 502);
    /* Without a name server it is the time that ends it. */
    assert_true(strstr(reply.body, "http_resolve") != NULL ||
                strstr(reply.body, "http_timeout") != NULL);
    flow_reply_fini(&reply);
}

static void request_goes_through_this_program_and_back(void **state)
{
    (void)state;
    struct flow_reply reply;
    assert_int_equal(flow_ask(port, "POST", "/chain/a%20b?q=%26&q=2", "{\"n\": 1.50}", &reply),
                     200);
    flow_assert_has(reply.body, "{\"method\":\"POST\",\"path\":\"/echo/a b\","
                                "\"query\":{\"q\":[\"&\",\"2\"]},\"host\":\"me.example\","
                                "\"own\":\"1\",\"body\":{\"n\":1.5}}");
    flow_assert_lacks(reply.head, "Transfer-Encoding");
    flow_reply_fini(&reply);
    /* A body that nobody reads stays the bytes that it was. */
    assert_int_equal(flow_ask(port, "GET", "/script/json", NULL, &reply), 200);
    assert_string_equal(reply.body, "{\"n\": 1.50, \"n\":2}");
    flow_assert_has(reply.head, "Content-Type: application/json");
    flow_reply_fini(&reply);
}

static bool is_ok(const char *body, size_t size)
{
    return size == 2 && memcmp(body, "ok", 2) == 0;
}

/* Calls of a node as /metrics tells them, of all shards. */
static uint64_t calls_of(const char *node)
{
    static const char request[] = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    static char text[512 * 1024];
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    size_t used = 0;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", flow_path("control"));
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_true(flow_send(fd, request, sizeof(request) - 1));
    for (ssize_t n = 1; n > 0; used += (size_t)n) {
        n = recv(fd, text + used, sizeof(text) - used - 1, 0);
        assert_true(n >= 0);
    }
    text[used] = '\0';
    (void)close(fd);
    const char *at = strstr(text, flow_text("\nsluice_node_calls_total{node=\"%s\"", node));
    assert_non_null(at);
    return strtoul(strstr(at, "} ") + 2, NULL, 10);
}

/* A changed node begins with connections of its own; what was asked before is answered. */
static void swap_of_the_node_under_load_is_invisible(void **state)
{
    (void)state;
    static struct flow_load load;
    load =
        (struct flow_load){.port = port, .count = LOAD_CONNS, .path = "/chain-ok", .check = is_ok};
    uint64_t calls = calls_of("chain-ok");
    uint64_t asked = calls;
    flow_load_start(&load);
    for (int i = 0; i < SWAPS; i++) {
        char *output;
        const char *file =
            flow_file("swap.yaml", flow_text("{kind: http, name: chain-ok, timeout: %ds,\n"
                                             " url: 'http://127.0.0.1:%d/ok'}\n",
                                             5 + i, port));
        int code = flow_run(
            (const char *[]){"apply", file, "--data", flow_path("data"), "--wait", NULL}, &output);
        if (code != 0) fail_msg("%s", output);
        free(output);
        /* The counters of a node never fall when it is changed. */
        uint64_t now = calls_of("chain-ok");
        assert_true(now >= calls);
        calls = now;
    }
    flow_load_stop(&load);
    /* All that were answered, and those whose answer was not waited for. */
    assert_in_range(calls_of("chain-ok") - asked, load.replies, load.replies + LOAD_CONNS);
    if (load.failed > 0) print_error("%s\n", load.first_error);
    print_message("%d swaps under %llu requests\n", SWAPS, (unsigned long long)load.replies);
    assert_int_equal(load.failed + load.closed + load.refused, 0);
    assert_true(load.replies > LOAD_CONNS);
}

static void nginx_answers(void **state)
{
    (void)state;
    if (nginx == 0) skip();
    struct flow_reply reply;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(flow_ask(port, "GET", "/nginx/hello", NULL, &reply), 200);
        assert_string_equal(reply.body, "nginx /hello x.example 1\n");
        flow_reply_fini(&reply);
    }
    assert_int_equal(flow_ask(port, "GET", "/nginx/file", NULL, &reply), 200);
    assert_int_equal(reply.body_size, 300000);
    flow_reply_fini(&reply);
    assert_int_equal(flow_ask(port, "GET", "/nginx/moved", NULL, &reply), 301);
    flow_assert_has(reply.head, "Location: http://elsewhere/");
    flow_reply_fini(&reply);
}

/* ---- life ------------------------------------------------------------------------------------ */

static bool nginx_start(void)
{
    nginx_port = flow_port(); /* the specification names it, with nginx or without */
    if (access("/usr/sbin/nginx", X_OK) < 0) return false;
    static char data[300001];
    memset(data, 'd', 300000);
    (void)flow_file("file", data);
    const char *dir = flow_dir();
    const char *file = flow_file(
        "nginx.conf",
        flow_text("daemon off; master_process off; pid %s/nginx.pid; error_log stderr;\n"
                  "events { worker_connections 256; }\n"
                  "http { access_log off; client_body_temp_path %s; proxy_temp_path %s;\n"
                  "fastcgi_temp_path %s; uwsgi_temp_path %s; scgi_temp_path %s;\n"
                  "server { listen 127.0.0.1:%d; root %s;\n"
                  "location = /hello { return 200 \"nginx $uri $host $http_x_own\\n\"; }\n"
                  "location = /moved { return 301 http://elsewhere/; } } }\n",
                  dir, dir, dir, dir, dir, dir, nginx_port, dir));
    nginx = fork();
    if (nginx == 0) {
        (void)execl("/usr/sbin/nginx", "nginx", "-c", file, (char *)NULL);
        _exit(127);
    }
    for (int ms = 0; ms < FLOW_WAIT_MS; ms += STEP_MS) {
        int fd = flow_connect(nginx_port);
        if (fd >= 0) {
            (void)close(fd);
            return true;
        }
        flow_sleep_ms(STEP_MS);
    }
    (void)kill(nginx, SIGKILL);
    (void)waitpid(nginx, NULL, 0);
    return false;
}

/* The path of the script's unix socket, as it stands in a URL. */
static const char *unix_path(void)
{
    static char text[FLOW_PATH_SIZE];
    size_t used = 0;
    for (const char *at = flow_path("script"); *at != '\0'; at++) {
        const char *form = *at == '/' ? "%2F" : (char[2]){*at, '\0'};
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s", form);
    }
    return text;
}

/* The kind under test, in all its ways. */
static const char *upstream_specs(void)
{
    return flow_text(
        "- {kind: http, name: script, url: 'http://127.0.0.1:%d', timeout: 20s, retries: 2,\n"
        "   body_max: 64KiB, ports: {error: [{name: catch, port: in}]}}\n"
        "- {kind: http, name: hasty, url: 'http://127.0.0.1:%d', timeout: 500ms,\n"
        "   ports: {error: [{name: catch, port: in}]}}\n"
        "- {kind: http, name: unix, url: 'http+unix://%s', timeout: 20s}\n"
        "- {kind: http, name: strict, url: 'http://127.0.0.1:%d', fail_status: true,\n"
        "   ports: {error: [{name: catch, port: in}]}}\n"
        "- {kind: http, name: patient, url: 'http://127.0.0.1:%d'}\n"
        "- {kind: http, name: closed, url: 'http://127.0.0.1:1',\n"
        "   ports: {error: [{name: catch, port: in}]}}\n"
        "- {kind: http, name: name, url: 'http://no-such-host.invalid', timeout: 3s,\n"
        "   ports: {error: [{name: catch, port: in}]}}\n",
        script_port, script_port, unix_path(), script_port, script_port);
}

/* What cuts its own prefix off before it asks, and who is asked. */
static const char *node_specs(void)
{
    return flow_text(
        "- {kind: snippet, name: cut0, language: cel, code: '{\"method\": self.method, "
        "\"path\": self.params[\"*\"]}', ports: {out: [{name: script, port: in}]}}\n"
        "- {kind: snippet, name: cut1, language: cel, code: '{\"path\": self.params[\"*\"]}',\n"
        "   ports: {out: [{name: unix, port: in}]}}\n"
        "- {kind: snippet, name: cut2, language: cel, code: '{\"path\": self.params[\"*\"]}',\n"
        "   ports: {out: [{name: strict, port: in}]}}\n"
        "- {kind: snippet, name: cut3, language: cel, code: '{\"path\": self.params[\"*\"]}',\n"
        "   ports: {out: [{name: patient, port: in}]}}\n"
        "- {kind: snippet, name: cut11, language: cel, code: '{\"path\": self.params[\"*\"]}',\n"
        "   ports: {out: [{name: hasty, port: in}]}}\n"
        "- {kind: snippet, name: cut6, language: cel, code: '{\"method\": self.method, "
        "\"path\": "
        "self.params[\"*\"], \"query\": self.query, \"header\": self.header, \"body\": "
        "self.body}',\n"
        "   ports: {out: [{name: chain, port: in}]}}\n"
        "- {kind: snippet, name: cut10, language: cel, code: '{\"path\": "
        "self.params[\"*\"]}',\n"
        "   ports: {out: [{name: nginx, port: in}]}}\n"
        "- {kind: http, name: chain, url: 'http://127.0.0.1:%d/echo',\n"
        "   header: {X-Own: 1, Host: me.example}}\n"
        "- {kind: snippet, name: echo, language: cel, code: '{\"body\": {\"method\": "
        "self.method, "
        "\"path\": self.path, \"query\": self.query, \"host\": self.host, "
        "\"own\": self.header[\"X-Own\"][0], \"body\": self.body}}'}\n"
        "- {kind: snippet, name: plain, language: json, code: '{\"path\": \"\"}',\n"
        "   ports: {out: [{name: chain-ok, port: in}]}}\n"
        "- {kind: http, name: chain-ok, url: 'http://127.0.0.1:%d/ok'}\n"
        "- {kind: snippet, name: ok, language: text, code: ok}\n"
        "- {kind: http, name: nginx, url: 'http://127.0.0.1:%d',\n"
        "   header: {X-Own: 1, Host: x.example}}\n"
        "- {kind: snippet, name: catch, language: cel, code: '{\"status\": 502, \"body\": "
        "self.code == \"http_status\" ? self.code + \" \" + string(self.data.status) + \" \" + "
        "string(self.data.body) : self.code}'}\n",
        port, port, nginx_port);
}

static const char *specs(void)
{
    return flow_text(
        "- {kind: listener, name: web, protocol: http, port: %d,\n"
        "   ports: {out: [{name: router, port: in}]}}\n"
        "- kind: router\n  name: router\n  routes:\n"
        "    - {method: GET, path: '/script/*', port: 'out[0]'}\n    - {method: POST, path: "
        "'/script/*', port: 'out[0]'}\n    - {method: POST, path: '/chain/*', port: 'out[6]'}\n    "
        "- {method: POST, path: '/echo/*', port: 'out[7]'}\n    - {method: GET, path: '/unix/*', "
        "port: 'out[1]'}\n"
        "    - {method: GET, path: '/strict/*', port: 'out[2]'}\n    - {method: GET, path: "
        "'/patient/*', port: 'out[3]'}\n"
        "    - {method: GET, path: /closed, port: 'out[4]'}\n    - {method: GET, path: /name, "
        "port: 'out[5]'}\n"
        "    - {method: GET, path: '/chain/*', port: 'out[6]'}\n    - {method: GET, path: "
        "'/echo/*', port: 'out[7]'}\n"
        "    - {method: GET, path: /chain-ok, port: 'out[8]'}\n    - {method: GET, path: /ok, "
        "port: 'out[9]'}\n"
        "    - {method: GET, path: '/nginx/*', port: 'out[10]'}\n"
        "    - {method: GET, path: '/hasty/*', port: 'out[11]'}\n  ports:\n"
        "    out[0]: [{name: cut0, port: in}]\n    out[1]: [{name: cut1, port: in}]\n"
        "    out[2]: [{name: cut2, port: in}]\n    out[3]: [{name: cut3, port: in}]\n"
        "    out[4]: [{name: closed, port: in}]\n    out[5]: [{name: name, port: in}]\n"
        "    out[6]: [{name: cut6, port: in}]\n    out[7]: [{name: echo, port: in}]\n"
        "    out[8]: [{name: plain, port: in}]\n    out[9]: [{name: ok, port: in}]\n"
        "    out[10]: [{name: cut10, port: in}]\n    out[11]: [{name: cut11, port: in}]\n%s%s",
        port, upstream_specs(), node_specs());
}

static int group_setup(void **state)
{
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    script_start();
    if (!nginx_start()) nginx = 0;
    port = flow_port();
    const char *file = flow_file("http.yaml", specs());
    flow_start(&server, (const char *[]){"-f", file, "--data", flow_path("data"), "--control",
                                         flow_path("control"), "--cores", "0,1", NULL});
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    int code = flow_stop(&server, SIGTERM);
    if (nginx > 0) {
        (void)kill(nginx, SIGTERM);
        (void)waitpid(nginx, NULL, 0);
    }
    /* Its end closes what it had kept. */
    wait_while_over(&script.open, 0);
    if (atomic_load(&script.open) > 0) code = -1;
    flow_kill_rest(NULL);
    return code;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_answers_arrive_however_they_are_framed),
        cmocka_unit_test(any_status_is_an_answer_unless_told_otherwise),
        cmocka_unit_test(broken_answers_are_errors_and_end_their_connection),
        cmocka_unit_test(request_without_an_answer_is_sent_again_if_idempotent),
        cmocka_unit_test(connections_are_kept_and_used_again),
        cmocka_unit_test(client_that_leaves_takes_its_request_along),
        cmocka_unit_test(name_that_does_not_exist_is_an_error),
        cmocka_unit_test(request_goes_through_this_program_and_back),
        cmocka_unit_test(swap_of_the_node_under_load_is_invisible),
        cmocka_unit_test(nginx_answers),
    };
    return cmocka_run_group_tests_name("http", tests, group_setup, group_teardown);
}
