/* SPDX-License-Identifier: MIT */
/* top: a live view of shards and nodes, by plain terminal escapes (ECMA-48). */
#include "ctl/cli/top.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/clock.h"
#include "ctl/cli/control.h"

enum { TOP_INTERVAL_MIN_MS = 100, TOP_INTERVAL_MAX_MS = 60000, KEY_ESCAPE = 27, KEY_DELETE = 127 };

struct top {
    struct cli_args *args;
    struct top_look look;
    struct top_sample samples[2];
    struct top_sample shown;
    struct termios before;
    uint32_t newest;
    uint64_t next_ns; /* when to ask again */
    bool has_before;  /* the other sample is the one before */
    bool has_screen;
    bool quit;
};

static volatile sig_atomic_t ended;

/* SIGWINCH only has to end the wait for a key. */
static void on_signal(int number)
{
    if (number != SIGWINCH) ended = 1;
}

static uint64_t now_ns(void)
{
    return sl_clock_now_ns(sl_clock_system());
}

/* Ask the runtime. 0 or -EXXX, printed unless `quiet`. */
static int sample_take(struct top *top, bool quiet)
{
    struct sl_value document;
    struct cli_answer answer;
    int r = quiet ? cli_control_ask(top->args, "GET", "/health", true, &answer) : 0;
    if (quiet && r == 0) cli_control_fini(&answer);
    if (r == 0) r = cli_control_get(top->args, "/top", &document);
    if (r < 0) return r;
    bool is_first = top->samples[top->newest].at_ns == 0;
    top->newest = is_first ? top->newest : 1 - top->newest;
    top->has_before = !is_first;
    top_sample_read(document, now_ns(), &top->samples[top->newest]);
    sl_value_unref(document);
    return 0;
}

static void shown_make(struct top *top)
{
    top->shown = top->samples[top->newest];
    top_sample_compare(&top->shown, top->has_before ? &top->samples[1 - top->newest] : NULL);
    top_sample_arrange(&top->shown, &top->look);
}

/* ---- screen ---------------------------------------------------------------------------------- */

static void screen_write(const void *data, size_t size)
{
    const char *at = data;
    while (size > 0) {
        ssize_t got = write(STDOUT_FILENO, at, size);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return;
        at += got;
        size -= (size_t)got;
    }
}

static int screen_open(struct top *top)
{
    struct sigaction action = {.sa_handler = on_signal};
    if (tcgetattr(STDIN_FILENO, &top->before) < 0) return -errno;
    struct termios raw = top->before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGHUP, &action, NULL);
    (void)sigaction(SIGWINCH, &action, NULL);
    if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) < 0) return -errno;
    top->has_screen = true;
    screen_write("\x1b[?1049h\x1b[?25l\x1b[2J", 18);
    return 0;
}

static void screen_close(struct top *top)
{
    if (!top->has_screen) return;
    screen_write("\x1b[?25h\x1b[?1049l", 14);
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &top->before);
    top->has_screen = false;
}

static void screen_draw(struct top *top)
{
    struct winsize size = {0};
    struct sl_out out;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row == 0 || size.ws_col == 0) {
        size = (struct winsize){.ws_row = 24, .ws_col = 80};
    }
    if (size.ws_row < 2) size.ws_row = 2; /* what does not fit scrolls away */
    top->look.lines = size.ws_row;
    top->look.columns = size.ws_col;
    sl_out_init(&out, NULL);
    shown_make(top);
    top_draw(&top->shown, &top->look, &out);
    if (out.error == 0) screen_write(out.data, out.size);
    sl_out_fini(&out);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static void key_filter(struct top_look *look, char key)
{
    size_t size = strlen(look->filter);
    if (key == '\n' || key == '\r') {
        look->is_editing = false;
    } else if (key == KEY_ESCAPE) {
        look->is_editing = false;
        look->filter[0] = '\0';
    } else if (key == KEY_DELETE || key == '\b') {
        while (size > 0 && ((uint8_t)look->filter[size - 1] & 0xc0U) == 0x80U) size--;
        look->filter[size > 0 ? size - 1 : 0] = '\0';
    } else if ((uint8_t)key >= ' ' && key != KEY_DELETE && size + 1 < sizeof(look->filter)) {
        look->filter[size] = key;
        look->filter[size + 1] = '\0';
    }
}

static void interval_change(struct top_look *look, bool is_longer)
{
    uint32_t ms = is_longer ? look->interval_ms * 2 : look->interval_ms / 2;
    if (ms >= TOP_INTERVAL_MIN_MS && ms <= TOP_INTERVAL_MAX_MS) look->interval_ms = ms;
}

static void key_press(struct top *top, char key)
{
    struct top_look *look = &top->look;
    if (look->is_editing) {
        key_filter(look, key);
        return;
    }
    switch (key) {
    case 'q': top->quit = true; break;
    case 'c': look->sort = TOP_BY_CALLS; break;
    case 'e': look->sort = TOP_BY_ERRORS; break;
    case 'l': look->sort = TOP_BY_P99; break;
    case 'u': look->sort = TOP_BY_QUEUE; break;
    case 't': look->sort = TOP_BY_CPU; break;
    case 'n': look->sort = TOP_BY_NAME; break;
    case '/': look->is_editing = true; break;
    case ' ': look->is_paused = !look->is_paused; break;
    case '+': interval_change(look, true); break;
    case '-': interval_change(look, false); break;
    case KEY_ESCAPE: look->filter[0] = '\0'; break;
    default: break;
    }
}

/* Bytes of a key that sends a sequence (arrows, Page Up: ECMA-48 section 5.4); 0: a plain key. */
static size_t sequence_size(const char *keys, size_t count)
{
    if (count < 2 || keys[0] != KEY_ESCAPE || (keys[1] != '[' && keys[1] != 'O')) return 0;
    size_t size = 2;
    while (size < count && (keys[size] < '@' || keys[size] > '~')) size++;
    return size < count ? size + 1 : count;
}

/* Wait for a key, another size of the screen, or the next sample. */
static void keys_wait(struct top *top)
{
    uint64_t now = now_ns();
    int wait_ms = top->next_ns > now ? (int)((top->next_ns - now) / SL_NS_PER_MS) + 1 : 0;
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    char keys[64];
    if (poll(&in, 1, wait_ms) <= 0) return;
    ssize_t got = read(STDIN_FILENO, keys, sizeof(keys));
    if (got <= 0 && errno != EINTR) top->quit = true;
    for (ssize_t i = 0; i < got;) {
        size_t skip = sequence_size(keys + i, (size_t)(got - i));
        if (skip == 0) key_press(top, keys[i]);
        i += skip > 0 ? (ssize_t)skip : 1;
    }
}

/* A runtime that has gone may come back, and begins to count anew. */
static void sample_next(struct top *top)
{
    bool was_lost = top->look.is_lost;
    top->look.is_lost = sample_take(top, true) < 0;
    if (!top->look.is_lost && was_lost) top->has_before = false;
}

static int top_live(struct top *top)
{
    int r = screen_open(top);
    if (r < 0) {
        cli_error("the terminal cannot be used: %s", strerror(-r));
        return CLI_FAILED;
    }
    while (!top->quit && !ended) {
        screen_draw(top);
        keys_wait(top);
        if (now_ns() < top->next_ns) continue;
        top->next_ns = now_ns() + top->look.interval_ms * SL_NS_PER_MS;
        if (top->look.is_paused) continue;
        sample_next(top);
    }
    screen_close(top);
    return CLI_OK;
}

static int top_once(struct top *top)
{
    struct sl_out out;
    (void)poll(NULL, 0, (int)top->look.interval_ms);
    if (sample_take(top, false) < 0) return CLI_UNREACHABLE;
    shown_make(top);
    if (cli_is_json(top->args)) {
        top_print_json(&top->shown);
        return CLI_OK;
    }
    sl_out_init(&out, NULL);
    top_draw(&top->shown, &top->look, &out);
    if (out.error == 0) screen_write(out.data, out.size);
    sl_out_fini(&out);
    return CLI_OK;
}

static bool sort_read(struct top *top)
{
    static const char *const names[] = {"calls", "errors", "p99", "queue", "cpu", "name"};
    const char *text = cli_get(top->args, "sort");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i]) != 0) continue;
        top->look.sort = (enum top_sort)i;
        return true;
    }
    cli_error("\"--sort %s\": expected calls, errors, p99, queue, cpu or name", text);
    return false;
}

int cli_top(struct cli_args *args)
{
    struct top *top = calloc(1, sizeof(*top));
    if (top == NULL) return CLI_FAILED;
    top->args = args;
    int result = CLI_USAGE;
    const char *filter = cli_get(args, "filter");
    bool once = cli_is_set(args, "once") || cli_is_json(args);
    if (filter != NULL) {
        (void)snprintf(top->look.filter, sizeof(top->look.filter), "%s", filter);
    }
    if (cli_get_duration_ms(args, "interval", &top->look.interval_ms) && sort_read(top)) {
        if (top->look.interval_ms < TOP_INTERVAL_MIN_MS) {
            top->look.interval_ms = TOP_INTERVAL_MIN_MS;
        }
        top->next_ns = now_ns() + top->look.interval_ms * SL_NS_PER_MS;
        if (!once && (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))) {
            cli_error("top needs a terminal; --once prints one picture");
        } else if (sample_take(top, false) < 0) {
            result = CLI_UNREACHABLE;
        } else {
            result = once ? top_once(top) : top_live(top);
        }
    }
    free(top);
    return result;
}
