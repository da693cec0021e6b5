/* SPDX-License-Identifier: MIT */
/* history, diff, rollback: what happened, what is different, and back again. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "codecs/flat/flat_fast.h"
#include "ctl/cli/changes.h"
#include "ctl/cli/store.h"
#include "ctl/cli/table.h"
#include "ctl/cli/wait.h"

enum { HISTORY_LIMIT_MAX = 100000, NS_PER_S = 1000000000 };

static const char *space_of(struct cli_args *args)
{
    return cli_is_set(args, "all-namespaces") ? NULL : cli_get(args, "namespace");
}

/* ---- history --------------------------------------------------------------------------------- */

static void time_text(int64_t wall_ns, char *buf, size_t buf_size)
{
    time_t seconds = (time_t)(wall_ns / NS_PER_S);
    struct tm tm;
    if (gmtime_r(&seconds, &tm) == NULL ||
        strftime(buf, buf_size, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0) {
        buf[0] = '\0';
    }
}

/* "+web ~router -old", cut where it gets long. */
static void changes_text(const struct sl_history_entry *entry, char *buf, size_t buf_size)
{
    size_t used = 0;
    buf[0] = '\0';
    for (size_t i = 0; i < entry->changes_count; i++) {
        const struct sl_history_change *change = &entry->changes[i];
        char sign = change->effect == SL_EFFECT_CREATED ? '+' : '~';
        if (change->effect == SL_EFFECT_DELETED) sign = '-';
        const char *name = change->name[0] != '\0' ? change->name : change->id;
        if (used + strlen(name) + 24 > buf_size) {
            (void)snprintf(buf + used, buf_size - used, " … %zu more", entry->changes_count - i);
            return;
        }
        used += (size_t)snprintf(buf + used, buf_size - used, "%s%c%s%s", i > 0 ? " " : "", sign,
                                 change->type == SL_OBJECT_SECRET ? "secret:" : "", name);
    }
}

static void history_table(const struct sl_history *history)
{
    static const char *const heading[] = {"REVISION", "TIME", "AUTHOR", "MESSAGE", "CHANGES"};
    struct cli_table table;
    cli_table_init(&table, 5, heading);
    for (size_t i = 0; i < history->count; i++) {
        const struct sl_history_entry *entry = &history->entries[i];
        char revision[24];
        char when[32];
        char changes[128];
        (void)snprintf(revision, sizeof(revision), "%llu", (unsigned long long)entry->revision);
        time_text(entry->wall_ns, when, sizeof(when));
        changes_text(entry, changes, sizeof(changes));
        cli_table_add(
            &table, (const char *const[]){revision, when, entry->author, entry->message, changes});
    }
    cli_table_print(&table, stdout);
    cli_table_fini(&table);
}

static void key_string(struct sl_builder *b, const char *key, const char *text)
{
    sl_build_key_str(b, key);
    sl_build_string_str(b, text);
}

static void entry_build(struct sl_builder *b, const struct sl_history_entry *entry)
{
    sl_build_map_begin(b);
    sl_build_key_str(b, "revision");
    sl_build_uint(b, entry->revision);
    sl_build_key_str(b, "time");
    sl_build_time(b, entry->wall_ns / NS_PER_S, (uint32_t)(entry->wall_ns % NS_PER_S));
    key_string(b, "author", entry->author);
    key_string(b, "message", entry->message);
    sl_build_key_str(b, "changes");
    sl_build_list_begin(b);
    for (size_t i = 0; i < entry->changes_count; i++) {
        const struct sl_history_change *change = &entry->changes[i];
        sl_build_map_begin(b);
        key_string(b, "effect", cli_effect_text(change->effect));
        key_string(b, "type", change->type == SL_OBJECT_SECRET ? "secret" : "spec");
        key_string(b, "id", change->id);
        key_string(b, "namespace", change->namespace);
        key_string(b, "kind", change->kind);
        key_string(b, "name", change->name);
        sl_build_map_end(b);
    }
    sl_build_list_end(b);
    sl_build_map_end(b);
}

static void history_json(const struct sl_history *history)
{
    struct sl_builder b;
    struct sl_value value;
    sl_builder_init(&b, NULL, 256, 4096);
    sl_build_map_begin(&b);
    sl_build_key_str(&b, "oldest");
    sl_build_uint(&b, history->oldest);
    sl_build_key_str(&b, "newest");
    sl_build_uint(&b, history->newest);
    sl_build_key_str(&b, "revisions");
    sl_build_list_begin(&b);
    for (size_t i = 0; i < history->count; i++) entry_build(&b, &history->entries[i]);
    sl_build_list_end(&b);
    sl_build_map_end(&b);
    if (sl_builder_finish(&b, &value) < 0) return;
    cli_print_json(value);
    sl_value_unref(value);
}

int cli_history(struct cli_args *args)
{
    int64_t limit = 0;
    struct sl_registry *registry = NULL;
    struct sl_history history = {0};
    struct sl_diags none = {0};
    if (!cli_get_number(args, "limit", 1, HISTORY_LIMIT_MAX, &limit)) return CLI_USAGE;
    int r = cli_registry_open(args, false, &registry);
    if (r != CLI_OK) return r;
    r = sl_registry_history(registry, space_of(args), SL_REVISION_NEWEST, (size_t)limit, &history);
    if (r != 0) {
        r = cli_print_outcome(args, r, &none);
    } else if (cli_is_json(args)) {
        history_json(&history);
    } else {
        history_table(&history);
    }
    sl_history_fini(&history);
    registry = sl_registry_close(registry);
    return r;
}

/* ---- diff ------------------------------------------------------------------------------------ */

static bool revision_read(struct cli_args *args, const char *text, uint64_t *ret_revision)
{
    char *end = NULL;
    unsigned long long number = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0') {
        cli_error("%s: \"%s\": expected the number of a revision; see \"sluice history\"",
                  cli_args_command(args)->name, text);
        return false;
    }
    *ret_revision = number;
    return true;
}

static int revisions_diff(struct cli_args *args, uint64_t from, uint64_t to)
{
    struct sl_registry *registry = NULL;
    struct sl_diff diff = {0};
    struct sl_diags none = {0};
    int r = cli_registry_open(args, false, &registry);
    if (r != CLI_OK) return r;
    r = sl_registry_diff(registry, space_of(args), from, to, &diff);
    if (r != 0) {
        r = cli_print_outcome(args, r, &none);
    } else {
        cli_print_diff(args, &diff);
        r = diff.count > 0 && cli_is_set(args, "exit-code") ? CLI_FAILED : CLI_OK;
        sl_diff_fini(&diff);
    }
    registry = sl_registry_close(registry);
    return r;
}

int cli_diff(struct cli_args *args)
{
    size_t operands_count;
    size_t files_count;
    const char *const *operands = cli_operands(args, &operands_count);
    const char *const *files = cli_get_list(args, "file", &files_count);
    if (files_count > 0 && operands_count == 0) {
        struct cli_apply what = {.files = files, .files_count = files_count, .dry_run = true};
        what.exit_code = cli_is_set(args, "exit-code");
        return cli_apply_files(args, &what);
    }
    if (files_count > 0 || operands_count < 1 || operands_count > 2) {
        cli_error("diff: give -f FILE, or one or two revisions; see \"sluice diff --help\"");
        return CLI_USAGE;
    }
    uint64_t from = 0;
    uint64_t to = SL_REVISION_NEWEST;
    if (!revision_read(args, operands[0], &from)) return CLI_USAGE;
    if (operands_count == 2 && !revision_read(args, operands[1], &to)) return CLI_USAGE;
    return revisions_diff(args, from, to);
}

/* ---- rollback -------------------------------------------------------------------------------- */

int cli_rollback(struct cli_args *args)
{
    size_t count;
    const char *const *operands = cli_operands(args, &count);
    const char *space = cli_get(args, "namespace");
    struct sl_registry *registry = NULL;
    struct sl_commit commit = {0};
    struct sl_diags diags = {0};
    uint64_t revision = 0;
    if (count != 1) {
        cli_error("rollback: to which revision? See \"sluice history\"");
        return CLI_USAGE;
    }
    if (!revision_read(args, operands[0], &revision)) return CLI_USAGE;
    if (!cli_wait_check(args)) return CLI_USAGE;
    int r = cli_registry_open(args, false, &registry);
    if (r != CLI_OK) return r;
    r = sl_registry_rollback(registry, space, revision, cli_author(), cli_get(args, "message"),
                             &commit, &diags);
    if (r != 0) {
        r = cli_print_outcome(args, r, &diags);
    } else {
        cli_print_commit(args, &commit);
        if (cli_is_set(args, "wait")) r = cli_wait_published(args, registry, space, &commit);
    }
    sl_commit_fini(&commit);
    sl_diags_fini(&diags);
    registry = sl_registry_close(registry);
    return r;
}
