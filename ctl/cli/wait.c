/* SPDX-License-Identifier: MIT */
#include "ctl/cli/wait.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/clock.h"
#include "ctl/runtime/published.h"

enum { WAIT_STEP_MS = 5, WAIT_NAMESPACES_MAX = 256 };

struct wait {
    const char *names[WAIT_NAMESPACES_MAX];
    size_t count;
    struct sl_registry *registry;
    const struct sl_commit *commit;
    uint64_t deadline_ns;
};

static void name_add(struct wait *wait, const char *name)
{
    for (size_t i = 0; i < wait->count; i++) {
        if (strcmp(wait->names[i], name) == 0) return;
    }
    if (wait->count < WAIT_NAMESPACES_MAX) wait->names[wait->count++] = name;
}

static uint64_t number_of(struct sl_value map, const char *key)
{
    struct sl_value value = sl_value_get_str(map, key);
    return !sl_value_is_none(value) && sl_value_is(value, SL_VALUE_INT) ? value.cell->word : 0;
}

static bool text_is(struct sl_value map, const char *key, const char *text)
{
    struct sl_value value = sl_value_get_str(map, key);
    return !sl_value_is_none(value) && sl_value_is(value, SL_VALUE_STRING) &&
           sl_slice_eq_str(sl_value_slice(value), text);
}

/* Tell the touched specs that the runtime could not take up. */
static int symbols_report(const struct wait *wait, struct sl_value published)
{
    int result = CLI_OK;
    struct sl_value symbols = sl_value_get_str(published, "symbols");
    for (size_t i = 0; i < wait->commit->count; i++) {
        const struct sl_object *after = wait->commit->items[i].after;
        if (after == NULL || after->type != SL_OBJECT_SPEC) continue;
        for (uint32_t s = 0; s < sl_value_count(symbols); s++) {
            struct sl_value symbol = sl_value_list_at(symbols, s);
            if (!text_is(symbol, "id", after->id)) continue;
            struct sl_slice state = sl_value_slice(sl_value_get_str(symbol, "state"));
            struct sl_slice reason = sl_value_slice(sl_value_get_str(symbol, "reason"));
            bool old = sl_slice_eq(state, SL_SLICE("last_good"));
            struct sl_value place = sl_value_get_str(symbol, "place");
            struct sl_slice where =
                sl_value_is(place, SL_VALUE_STRING) ? sl_value_slice(place) : SL_SLICE("");
            cli_error("%s/%s %s: %.*s%s%.*s", after->namespace,
                      after->name[0] ? after->name : after->id,
                      old ? "still runs in its last good version" : "is inactive",
                      SL_SLICE_FMT(where), where.size > 0 ? ": " : "", SL_SLICE_FMT(reason));
            result = CLI_FAILED;
        }
    }
    return result;
}

/* Look once. CLI_TIMEOUT: not yet. */
static int look(const struct wait *wait, const char *name, long *ret_pid, uint64_t *ret_revision)
{
    struct sl_value published;
    int r = sl_published_get(wait->registry, name, ret_pid, &published);
    if (r < 0) {
        cli_error("the registry cannot be read: %s", strerror(-r));
        return CLI_UNREACHABLE;
    }
    if (*ret_pid == 0) return CLI_OK;
    if (sl_value_is_none(published)) return CLI_TIMEOUT;
    *ret_revision = number_of(published, "revision");
    int result = CLI_TIMEOUT;
    struct sl_value error = sl_value_get_str(published, "error");
    if (*ret_revision >= wait->commit->revision && !sl_value_is_none(error)) {
        cli_error("the runtime of namespace \"%s\" refused revision %llu: %.*s", name,
                  (unsigned long long)*ret_revision, SL_SLICE_FMT(sl_value_slice(error)));
        result = CLI_FAILED;
    } else if (*ret_revision >= wait->commit->revision) {
        result = symbols_report(wait, published);
    }
    sl_value_unref(published);
    return result;
}

static int wait_one(const struct wait *wait, const char *name)
{
    struct sl_clock *clock = sl_clock_system();
    for (;;) {
        long pid = 0;
        uint64_t revision = 0;
        int r = look(wait, name, &pid, &revision);
        if (r == CLI_OK && pid == 0) cli_error("no runtime of namespace \"%s\" is running", name);
        if (r != CLI_TIMEOUT) return r;
        if (sl_clock_now_ns(clock) >= wait->deadline_ns) {
            cli_error("the runtime of namespace \"%s\" (process %ld) has published revision %llu, "
                      "not yet %llu",
                      name, pid, (unsigned long long)revision,
                      (unsigned long long)wait->commit->revision);
            return CLI_TIMEOUT;
        }
        (void)poll(NULL, 0, WAIT_STEP_MS);
    }
}

bool cli_wait_check(struct cli_args *args)
{
    uint32_t ignored;
    return !cli_is_set(args, "wait") || cli_get_duration_ms(args, "timeout", &ignored);
}

int cli_wait_published(struct cli_args *args, struct sl_registry *registry, const char *name_space,
                       const struct sl_commit *commit)
{
    uint32_t timeout_ms = 0;
    if (!cli_get_duration_ms(args, "timeout", &timeout_ms)) return CLI_USAGE;
    struct wait wait = {.registry = registry, .commit = commit};
    wait.deadline_ns = sl_clock_now_ns(sl_clock_system()) + timeout_ms * SL_NS_PER_MS;
    for (size_t i = 0; i < commit->count; i++) {
        const struct sl_commit_item *item = &commit->items[i];
        const struct sl_object *object = item->after != NULL ? item->after : item->before;
        if (object != NULL) name_add(&wait, object->namespace);
    }
    if (wait.count == 0) name_add(&wait, name_space);
    int result = CLI_OK;
    for (size_t i = 0; i < wait.count; i++) {
        int r = wait_one(&wait, wait.names[i]);
        if (r != CLI_OK) result = r;
    }
    return result;
}
