/* SPDX-License-Identifier: MIT */
/*
 * tune: look at the machine, propose, try, write, undo.
 *
 *   machine ─► plan ─► choices (by reason, by --only, or by --try) ─► --write --apply --persist
 *                                                                       │ journal
 *                                                              --revert ◄┘
 */
#include "ctl/cli/tune.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "ctl/tune/journal.h"

static const char JOURNAL_NAME[] = "tune.journal";
static const char TRY_NAME[] = "tune-try.journal";

struct tune {
    struct cli_args *args;
    struct cli_args *start; /* what `start` would have here; owned */
    const char *root;       /* NULL: this machine */
    char state[SL_TUNE_PATH_SIZE / 2];
    bool dry;
    struct sl_tune_machine *machine;
    struct sl_tune_plan *plan;
    struct sl_tune_choices choices;
    struct sl_tune_report report; /* of --try */
};

/* ---- where the journal is -------------------------------------------------------------------- */

static bool state_find(struct tune *tune)
{
    const char *given = cli_get(tune->args, "state");
    const char *base = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    int size;
    if (given != NULL) {
        size = snprintf(tune->state, sizeof(tune->state), "%s", given);
    } else if (tune->root != NULL) {
        size = snprintf(tune->state, sizeof(tune->state), "%s/var/lib/sluice", tune->root);
    } else if (geteuid() == 0) {
        size = snprintf(tune->state, sizeof(tune->state), "/var/lib/sluice");
    } else if (base != NULL && base[0] == '/') {
        size = snprintf(tune->state, sizeof(tune->state), "%s/sluice", base);
    } else {
        size = snprintf(tune->state, sizeof(tune->state), "%s/.local/state/sluice",
                        home != NULL ? home : "");
    }
    if (size > 0 && (size_t)size < sizeof(tune->state)) return true;
    cli_error("tune: the folder for the journal has too long a name; give another with --state");
    return false;
}

static int journal_open(struct tune *tune, const struct sl_tune_tree *tree, const char *name,
                        struct sl_tune_journal **ret_journal)
{
    struct sl_diag diag = {0};
    int r = sl_tune_journal_open(tree, tune->state, name, tune->dry, ret_journal, &diag);
    if (r < 0) cli_print_diag(tune->args, &diag);
    return r;
}

/* ---- undoing --------------------------------------------------------------------------------- */

struct reverted {
    bool json;
    struct sl_builder *b;
};

static void on_reverted(void *ctx, const char *path, int result)
{
    struct reverted *reverted = ctx;
    if (!reverted->json) {
        (void)printf("%s %s%s%s\n", result == 0 ? "restored" : "NOT restored", path,
                     result == 0 ? "" : ": ", result == 0 ? "" : strerror(-result));
        return;
    }
    sl_build_map_begin(reverted->b);
    sl_build_key_str(reverted->b, "path");
    sl_build_string_str(reverted->b, path);
    sl_build_key_str(reverted->b, "error");
    if (result == 0) {
        sl_build_null(reverted->b);
    } else {
        sl_build_string_str(reverted->b, strerror(-result));
    }
    sl_build_map_end(reverted->b);
}

/* One journal; adds to *count. 0 or -errno. */
static int revert_one(struct tune *tune, const struct sl_tune_tree *tree, const char *name,
                      struct reverted *reverted, size_t *count)
{
    struct sl_tune_journal *journal = NULL;
    int r = journal_open(tune, tree, name, &journal);
    if (r < 0) return r;
    *count += sl_tune_journal_count(journal);
    for (size_t i = 0; tune->dry && i < sl_tune_journal_count(journal); i++) {
        const char *path = sl_tune_journal_path(journal, i);
        if (reverted->json) {
            on_reverted(reverted, path, 0);
        } else {
            (void)printf("would restore %s\n", path);
        }
    }
    if (!tune->dry && sl_tune_journal_count(journal) > 0) {
        r = sl_tune_journal_revert(journal, on_reverted, reverted);
    }
    (void)sl_tune_journal_close(journal);
    return r;
}

static int tune_revert(struct tune *tune)
{
    struct sl_tune_tree tree;
    struct sl_builder b;
    struct sl_value value;
    struct reverted reverted = {.json = cli_is_json(tune->args), .b = &b};
    size_t count = 0;
    if (sl_tune_tree_init(&tree, tune->root) < 0) {
        cli_error("tune: --root is too long");
        return CLI_USAGE;
    }
    sl_builder_init(&b, NULL, 64, 1024);
    sl_build_map_begin(&b);
    sl_build_key_str(&b, "restored");
    sl_build_list_begin(&b);
    int r = revert_one(tune, &tree, TRY_NAME, &reverted, &count);
    int again = revert_one(tune, &tree, JOURNAL_NAME, &reverted, &count);
    if (r == 0) r = again;
    sl_build_list_end(&b);
    sl_build_map_end(&b);
    if (sl_builder_finish(&b, &value) == 0) {
        if (reverted.json) cli_print_json(value);
        sl_value_unref(value);
    }
    if (!reverted.json && count == 0 && r == 0) (void)printf("nothing to restore\n");
    return r == 0 ? CLI_OK : CLI_FAILED;
}

/* ---- choosing -------------------------------------------------------------------------------- */

static bool list_has(struct cli_args *args, const char *option, const char *rule)
{
    size_t count;
    const char *const *items = cli_get_list(args, option, &count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(items[i], rule) == 0) return true;
    }
    return false;
}

/* A name that is no proposal of this plan is a mistake: the nearest is told. */
static bool list_check(const struct tune *tune, const char *option)
{
    const char *names[SL_TUNE_PROPOSALS_MAX];
    size_t count;
    const char *const *items = cli_get_list(tune->args, option, &count);
    for (uint32_t i = 0; i < tune->plan->proposals_count; i++) {
        names[i] = tune->plan->proposals[i].rule;
    }
    for (size_t i = 0; i < count; i++) {
        if (sl_tune_plan_find(tune->plan, items[i]) != NULL) continue;
        if (strchr(items[i], ',') != NULL) {
            cli_error("tune: --%s %s: give --%s once for each rule", option, items[i], option);
            return false;
        }
        const char *nearest = sl_diag_nearest(items[i], names, tune->plan->proposals_count);
        cli_error("tune: --%s %s: nothing of that name is proposed here%s%s%s", option, items[i],
                  nearest != NULL ? "; did you mean \"" : "", nearest != NULL ? nearest : "",
                  nearest != NULL ? "\"?" : "");
        return false;
    }
    return true;
}

static bool is_wanted(void *ctx, const struct sl_tune_proposal *proposal)
{
    const struct tune *tune = ctx;
    if (list_has(tune->args, "skip", proposal->rule)) return false;
    return !cli_is_set(tune->args, "only") || list_has(tune->args, "only", proposal->rule);
}

/*
 * By reason alone; what needs proof only if it was named. With --try this is for what no load on
 * this machine can show; the rest has to win.
 */
static void choices_make(struct tune *tune)
{
    tune->choices.count = 0;
    for (uint32_t i = 0; i < tune->plan->proposals_count; i++) {
        const struct sl_tune_proposal *proposal = &tune->plan->proposals[i];
        if (!is_wanted(tune, proposal)) continue;
        if (proposal->needs_proof && !list_has(tune->args, "only", proposal->rule)) continue;
        bool is_tried = proposal->measure != SL_TUNE_MEASURE_NONE;
        if (is_tried && cli_is_set(tune->args, "try")) continue;
        sl_tune_choices_add(&tune->choices, proposal, proposal->want, "");
    }
}

/* ---- writing --------------------------------------------------------------------------------- */

static void told(const struct tune *tune, const char *what, const char *path, const char *more)
{
    FILE *out = cli_is_json(tune->args) ? stderr : stdout;
    (void)fprintf(out, "%s%s %s%s\n", tune->dry ? "would have " : "", what, path, more);
}

static int file_write(struct tune *tune, struct sl_tune_journal *journal, const char *path,
                      const char *text, size_t size)
{
    char backup[SL_TUNE_PATH_SIZE];
    char more[SL_TUNE_PATH_SIZE + 32] = "";
    struct sl_diag diag = {0};
    if (tune->dry) {
        told(tune, "written", path, ":");
        (void)fwrite(text, 1, size, cli_is_json(tune->args) ? stderr : stdout);
        return 0;
    }
    int r = sl_tune_journal_write(journal, path, text, size, backup, &diag);
    if (r == -EACCES || r == -EROFS) {
        sl_diag_hint(&diag, "%s; \"--persist -\" prints the files instead, another DIR takes them",
                     r == -EROFS ? "it is read-only here" : "only its owner may, often root");
    }
    if (r < 0) {
        cli_print_diag(tune->args, &diag);
        return r;
    }
    if (backup[0] != '\0') (void)snprintf(more, sizeof(more), " (what was there: %s)", backup);
    told(tune, "written", path, more);
    return 0;
}

static int yaml_write(struct tune *tune, struct sl_tune_journal *journal, const char *path)
{
    struct sl_tune_tree tree;
    struct sl_diag diag = {0};
    char *text = NULL;
    size_t size = 0;
    (void)sl_tune_tree_init(&tree, NULL);
    char *old = sl_tune_read_all(&tree, path);
    if (old == NULL && sl_tune_exists(&tree, path)) {
        cli_error("tune: cannot read %s, so it is not written", path);
        return -EACCES;
    }
    int r = sl_tune_yaml(&tune->choices, tune->machine, old, old != NULL ? strlen(old) : 0, &text,
                         &size, &diag);
    free(old);
    if (r < 0) {
        cli_print_diag(tune->args, &diag);
        return r;
    }
    r = file_write(tune, journal, path, text, size);
    free(text);
    return r;
}

/* The values of one choice. What we may not write is told, and is no failure. */
static int choice_apply(struct tune *tune, struct sl_tune_journal *journal,
                        const struct sl_tune_choice *choice)
{
    const struct sl_tune_proposal *p = choice->proposal;
    struct sl_diag diag = {0};
    int r = 0;
    if (p->settings_count == 0) return 0;
    if (p->may != SL_TUNE_MAY_NOW) {
        told(tune, "left", p->key,
             p->may == SL_TUNE_MAY_ROOT ? " as it is: only root may set it"
                                        : " as it is: it is read-only here");
        return 0;
    }
    const char **paths = calloc(p->settings_count, sizeof(*paths));
    sl_assert(paths != NULL);
    for (uint32_t i = 0; i < p->settings_count; i++) paths[i] = p->settings[i].path;
    if (!tune->dry) r = sl_tune_journal_keep(journal, paths, p->settings_count, &diag);
    for (uint32_t i = 0; i < p->settings_count && r == 0; i++) {
        char more[SL_TUNE_VALUE_SIZE + 8];
        if (!tune->dry) {
            r = sl_tune_journal_set(journal, p->settings[i].path, p->settings[i].value, &diag);
        }
        (void)snprintf(more, sizeof(more), " to %s", p->settings[i].value);
        if (r == 0) told(tune, "set", p->settings[i].path, more);
    }
    if (r < 0) cli_print_diag(tune->args, &diag);
    free(paths);
    return r;
}

/* `dir` "-": to standard output. */
static int files_persist(struct tune *tune, struct sl_tune_journal *journal, const char *dir)
{
    struct sl_tune_file files[SL_TUNE_FILES_MAX];
    uint32_t count = sl_tune_files(&tune->choices, &tune->plan->layout, files);
    bool is_print = strcmp(dir, "-") == 0;
    size_t dir_size = strlen(dir);
    int r = 0;
    while (dir_size > 0 && dir[dir_size - 1] == '/') dir_size--;
    for (uint32_t i = 0; i < count && r == 0; i++) {
        char path[SL_TUNE_PATH_SIZE];
        if (is_print) {
            (void)printf("\n# %s    then: %s\n%s", files[i].path, files[i].after, files[i].text);
            continue;
        }
        int size = snprintf(path, sizeof(path), "%.*s%s", (int)dir_size, dir, files[i].path);
        if (size < 0 || (size_t)size >= sizeof(path)) r = -ENAMETOOLONG;
        if (r == 0) r = file_write(tune, journal, path, files[i].text, files[i].size);
        if (r == 0) told(tune, "to be followed by:", files[i].after, "");
    }
    if (count == 0) told(tune, "nothing for", "a restart of the machine", "");
    sl_tune_files_fini(files, count);
    return r;
}

/* --write, --apply and --persist, in this order; the first that fails ends it. */
static int tune_change(struct tune *tune)
{
    const char *yaml = cli_get(tune->args, "write");
    const char *dir = cli_get(tune->args, "persist");
    bool apply = cli_is_set(tune->args, "apply");
    struct sl_tune_journal *journal = NULL;
    if (yaml == NULL && dir == NULL && !apply) return CLI_OK;
    sl_assert(dir == NULL || strcmp(dir, "-") != 0 || !cli_is_json(tune->args));
    bool only_prints = yaml == NULL && !apply && strcmp(dir, "-") == 0;
    if (only_prints) return files_persist(tune, NULL, dir) == 0 ? CLI_OK : CLI_FAILED;
    int r = journal_open(tune, &tune->machine->tree, JOURNAL_NAME, &journal);
    if (r < 0) return CLI_FAILED;
    if (yaml != NULL) r = yaml_write(tune, journal, yaml);
    for (uint32_t i = 0; apply && r == 0 && i < tune->choices.count; i++) {
        r = choice_apply(tune, journal, &tune->choices.items[i]);
    }
    if (r == 0 && dir != NULL) r = files_persist(tune, journal, dir);
    if (!tune->dry && sl_tune_journal_count(journal) > 0) {
        told(tune, "all of it is undone by", "\"sluice tune --revert\"", "");
    }
    (void)sl_tune_journal_close(journal);
    return r == 0 ? CLI_OK : CLI_FAILED;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static const char *option_now(void *ctx, const char *key)
{
    struct tune *tune = ctx;
    const char *value = cli_get(tune->start, key);
    return value != NULL ? value : "";
}

static int plan_make(struct tune *tune)
{
    const char *file = cli_config_path(tune->args);
    char *words[] = {(char[]){"-c"}, (char *)(uintptr_t)file};
    int r = cli_args_parse(cli_command_find("start"), file != NULL ? 2 : 0, words, &tune->start);
    if (tune->start == NULL) return r != 0 ? r : CLI_USAGE;
    tune->machine = sl_tune_machine_read(tune->root);
    if (tune->machine == NULL) return CLI_FAILED;
    tune->plan = sl_tune_plan_new(tune->machine, option_now, tune);
    return tune->plan != NULL ? CLI_OK : CLI_FAILED;
}

static void report(struct tune *tune)
{
    if (!cli_is_json(tune->args)) {
        cli_tune_print_plan(tune->plan);
        cli_tune_print_report(&tune->report);
        if (tune->report.pairs > 0) cli_tune_print_choices(&tune->choices);
        (void)fflush(stdout); /* before what is told of writing */
        return;
    }
    struct sl_builder b;
    struct sl_value value;
    sl_builder_init(&b, NULL, 512, 8192);
    sl_build_map_begin(&b);
    cli_tune_build_plan(&b, tune->plan);
    cli_tune_build_report(&b, &tune->report);
    cli_tune_build_choices(&b, &tune->choices);
    sl_build_map_end(&b);
    if (sl_builder_finish(&b, &value) < 0) return;
    cli_print_json(value);
    sl_value_unref(value);
}

static int tune_try(struct tune *tune)
{
    struct sl_tune_journal *journal = NULL;
    if (tune->root != NULL) {
        cli_error("tune: --try needs this machine, and --root is another's");
        return CLI_USAGE;
    }
    if (!tune->dry && journal_open(tune, &tune->machine->tree, TRY_NAME, &journal) < 0) {
        return CLI_FAILED;
    }
    int r = cli_tune_try(tune->args, tune->plan, journal, is_wanted, tune, &tune->report,
                         &tune->choices);
    (void)sl_tune_journal_close(journal);
    return r;
}

static int tune_run(struct tune *tune)
{
    int r = plan_make(tune);
    if (r != CLI_OK) return r;
    const char *dir = cli_get(tune->args, "persist");
    if (dir != NULL && strcmp(dir, "-") == 0 && cli_is_json(tune->args)) {
        cli_error("tune: --persist - prints files, and --format json something else: give a DIR");
        return CLI_USAGE;
    }
    if (!list_check(tune, "only") || !list_check(tune, "skip")) return CLI_USAGE;
    choices_make(tune);
    if (cli_is_set(tune->args, "try")) r = tune_try(tune);
    if (r == CLI_USAGE || r == CLI_UNREACHABLE) return r;
    report(tune);
    return r == CLI_OK ? tune_change(tune) : r;
}

int cli_tune(struct cli_args *args)
{
    static struct tune tune; /* too large for a stack */
    tune = (struct tune){
        .args = args, .root = cli_get(args, "root"), .dry = cli_is_set(args, "dry-run")};
    if (!state_find(&tune)) return CLI_USAGE;
    int r = cli_is_set(args, "revert") ? tune_revert(&tune) : tune_run(&tune);
    tune.plan = sl_tune_plan_free(tune.plan);
    tune.machine = sl_tune_machine_free(tune.machine);
    tune.start = cli_args_free(tune.start);
    return r;
}
