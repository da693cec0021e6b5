/* SPDX-License-Identifier: MIT */
#include "ctl/tune/work.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/json/json.h"
#include "core/base/assertion.h"
#include "core/mem/out.h"
#include "ctl/loader/source.h"

enum {
    STEP_MS = 50,        /* between looks at a stop */
    STOP_MS_MAX = 15000, /* the harness ends its servers */
    OUTPUT_SIZE_MAX = 1024 * 1024,
    ARGV_MAX = SL_TUNE_WORDS_MAX + 32,
    PATH_SIZE = SL_TUNE_DIR_SIZE + 32,
};

static const char PORT_TOKEN[] = "@SLUICE_TUNE_PORT@";

/* Keys that a server of a trial gets as they are now, unless a value replaces them. */
static const char *const OPTION_KEYS[] = {"spin",    "batch",    "buffers", "buffer-size",
                                          "backlog", "priority", "poller",  "memory"};

static int failed(struct sl_diag *reterr, const char *what, int error)
{
    (void)sl_diag_set(reterr, "tune_try", (struct sl_pos){0, 0}, "%s: %s", what, strerror(-error));
    return error;
}

/* ---- specs ----------------------------------------------------------------------------------- */

static bool is_listener(const struct sl_spec *spec)
{
    return sl_slice_eq_str(spec->kind, "listener");
}

static void listener_build(struct sl_builder *b, const struct sl_spec *spec)
{
    sl_build_map_begin(b);
    for (uint32_t i = 0; i < sl_value_count(spec->value); i++) {
        struct sl_slice key = sl_value_key_at(spec->value, i);
        if (sl_slice_eq_str(key, "port") || sl_slice_eq_str(key, "host")) continue;
        sl_build_key(b, key.data, key.size);
        sl_build_value(b, sl_value_map_at(spec->value, i));
    }
    sl_build_key_str(b, "host");
    sl_build_string_str(b, "127.0.0.1");
    sl_build_key_str(b, "port");
    sl_build_string_str(b, PORT_TOKEN);
    sl_build_map_end(b);
}

/* The index of the listener to load, or -1. */
static int64_t listener_find(const struct sl_specs *specs, const char *name)
{
    for (size_t i = 0; i < specs->count; i++) {
        const struct sl_spec *spec = specs->items[i].spec;
        if (!is_listener(spec)) continue;
        if (name == NULL || sl_slice_eq_str(spec->name, name)) return (int64_t)i;
    }
    return -1;
}

static int file_put(const struct sl_tune_work *work, const char *name, const void *data,
                    size_t size)
{
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof(path), "%s/%s", work->dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return -errno;
    int r = write(fd, data, size) == (ssize_t)size ? 0 : -EIO;
    if (close(fd) < 0) r = -EIO;
    return r;
}

static int specs_put(struct sl_tune_work *work, const struct sl_specs *specs, size_t listener)
{
    struct sl_builder b;
    struct sl_value value;
    struct sl_out out;
    sl_builder_init(&b, NULL, 256, 4096);
    sl_build_list_begin(&b);
    for (size_t i = 0; i < specs->count; i++) {
        const struct sl_spec *spec = specs->items[i].spec;
        if (i == listener) {
            listener_build(&b, spec);
        } else if (!is_listener(spec)) {
            sl_build_value(&b, spec->value);
        }
    }
    sl_build_list_end(&b);
    int r = sl_builder_finish(&b, &value);
    if (r < 0) return r;
    sl_out_init(&out, NULL);
    r = sl_json_write(value, SL_JSON_PRETTY, &out);
    if (r == 0) r = file_put(work, "flow.json", out.data, out.size);
    sl_out_fini(&out);
    sl_value_unref(value);
    return r;
}

static int specs_copy(struct sl_tune_work *work, struct sl_diag *reterr)
{
    struct sl_specs specs = {0};
    struct sl_diags diags = {0};
    const struct sl_tune_try_config *cfg = work->cfg;
    int r = sl_specs_read_paths(cfg->files, cfg->files_count, &specs, &diags);
    int64_t listener = r == 0 ? listener_find(&specs, cfg->listener) : -1;
    if (r < 0) {
        if (reterr != NULL && diags.count > 0) *reterr = diags.items[0];
    } else if (listener < 0) {
        r = sl_diag_set(reterr, "no_listener", (struct sl_pos){0, 0},
                        cfg->listener != NULL ? "there is no listener \"%s\" in these files"
                                              : "there is no listener in these files%s",
                        cfg->listener != NULL ? cfg->listener : "");
    } else {
        r = specs_put(work, &specs, (size_t)listener);
        if (r < 0) (void)failed(reterr, "the specs could not be copied", r);
    }
    sl_specs_fini(&specs);
    sl_diags_fini(&diags);
    return r;
}

/* ---- scripts --------------------------------------------------------------------------------- */

/* A word for the shell, whatever is in it. */
static void word_put(FILE *out, const char *word)
{
    (void)fputc('\'', out);
    for (; *word != '\0'; word++) {
        if (*word == '\'') {
            (void)fputs("'\\''", out);
        } else {
            (void)fputc(*word, out);
        }
    }
    (void)fputc('\'', out);
}

static void flag_put(FILE *out, const char *name, const char *value)
{
    (void)fprintf(out, " --%s ", name);
    word_put(out, value);
}

static const char *value_of(const struct sl_tune_value *values, uint32_t count, const char *key)
{
    for (uint32_t i = 0; i < count; i++) {
        bool is_option = values[i].proposal->where == SL_TUNE_YAML;
        if (is_option && strcmp(values[i].proposal->key, key) == 0) return values[i].value;
    }
    return NULL;
}

static int script_put(const struct sl_tune_work *work, const char *name, char *text, size_t size)
{
    int r = text != NULL ? file_put(work, name, text, size) : -ENOMEM;
    free(text);
    return r;
}

/* The server: $1 is its port, $2 its folder. */
static int server_put(const struct sl_tune_work *work, const char *name,
                      const struct sl_tune_value *values, uint32_t count)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) return -ENOMEM;
    const struct sl_tune_try_config *cfg = work->cfg;
    (void)fprintf(out, "sed 's/\"%s\"/'\"$1\"'/' ", PORT_TOKEN);
    char flow[PATH_SIZE];
    char config[PATH_SIZE];
    (void)snprintf(flow, sizeof(flow), "%s/flow.json", work->dir);
    (void)snprintf(config, sizeof(config), "%s/sluice.yaml", work->dir);
    word_put(out, flow);
    (void)fputs(" >\"$2/flow.json\" || exit 1\nexec ", out);
    word_put(out, cfg->sluice);
    (void)fputs(" start -c ", out);
    word_put(out, config);
    (void)fputs(" --control none --log-level error", out);
    flag_put(out, "cores", work->shards);
    for (size_t i = 0; i < sizeof(OPTION_KEYS) / sizeof(OPTION_KEYS[0]); i++) {
        const char *value = value_of(values, count, OPTION_KEYS[i]);
        if (value == NULL) value = work->plan->option(work->plan->ctx, OPTION_KEYS[i]);
        if (value[0] != '\0') flag_put(out, OPTION_KEYS[i], value);
    }
    for (size_t i = 0; i < cfg->flags_count; i++) {
        (void)fputc(' ', out);
        word_put(out, cfg->flags[i]);
    }
    (void)fputs(" \"$2/flow.json\"\n", out);
    if (fclose(out) != 0) return -ENOMEM;
    return script_put(work, name, text, size);
}

static bool is_system(const struct sl_tune_value *value)
{
    return value->proposal->measure == SL_TUNE_MEASURE_SYSTEM;
}

/* A script that sets the system: with `values` the new values, else those that are there now. */
static int enter_put(const struct sl_tune_work *work, const char *name,
                     const struct sl_tune_value *values, uint32_t count, bool is_new)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) return -ENOMEM;
    const struct sl_tune_tree *tree = &work->plan->machine->tree;
    for (uint32_t i = 0; i < count; i++) {
        const struct sl_tune_proposal *p = values[i].proposal;
        if (!is_system(&values[i])) continue;
        for (uint32_t s = 0; s < p->settings_count; s++) {
            char path[SL_TUNE_PATH_SIZE];
            char old[SL_TUNE_TEXT_SIZE];
            char word[SL_TUNE_TEXT_SIZE];
            if (!is_new && sl_tune_read(tree, p->settings[s].path, old, sizeof(old)) < 0) continue;
            if (!is_new) sl_tune_choice(old, word, sizeof(word));
            sl_tune_path(tree, p->settings[s].path, path, sizeof(path));
            (void)fputs("printf '%s\\n' ", out);
            word_put(out, is_new ? p->settings[s].value : word);
            (void)fputs(" >", out);
            word_put(out, path);
            (void)fputs(" || exit 1\n", out);
        }
    }
    if (fclose(out) != 0) return -ENOMEM;
    return script_put(work, name, text, size);
}

static int scripts_put(struct sl_tune_work *work, const struct sl_tune_value *values,
                       uint32_t count)
{
    int r = server_put(work, "a.sh", NULL, 0);
    if (r == 0) r = server_put(work, "b.sh", values, count);
    if (r == 0) r = enter_put(work, "enter-a.sh", values, count, false);
    if (r == 0) r = enter_put(work, "enter-b.sh", values, count, true);
    return r;
}

/* ---- the harness ----------------------------------------------------------------------------- */

static bool is_stopped(const struct sl_tune_work *work)
{
    return work->cfg->stop != NULL && *work->cfg->stop != 0;
}

static void sleep_ms(long ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&time, NULL);
}

/* In the child: never returns. Its own group, so that ^C comes to us alone. */
static void child_exec(const struct sl_tune_work *work, char *const *argv, int out)
{
    static const char *const unwanted[] = {"SLUICE_DATA",       "SLUICE_CONTROL",
                                           "SLUICE_FROM_SPECS", "SLUICE_ACCESS_LOG",
                                           "SLUICE_ENV",        "SLUICE_CONTROL_CORE"};
    char path[PATH_SIZE];
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    for (size_t i = 0; i < sizeof(unwanted) / sizeof(unwanted[0]); i++) (void)unsetenv(unwanted[i]);
    (void)snprintf(path, sizeof(path), "%s/errors", work->dir);
    int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int err = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (in < 0 || err < 0) _exit(127);
    (void)dup2(in, STDIN_FILENO);
    (void)dup2(out, STDOUT_FILENO);
    (void)dup2(err, STDERR_FILENO);
    (void)execv(argv[0], argv);
    _exit(127);
}

/* End the harness and wait until it has ended its servers. */
static void child_stop(pid_t pid)
{
    (void)kill(pid, SIGINT);
    for (int ms = 0; ms < STOP_MS_MAX; ms += STEP_MS) {
        if (waitpid(pid, NULL, WNOHANG) == pid) return;
        sleep_ms(STEP_MS);
    }
    (void)kill(-pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

/* The last line that the harness or a server wrote to its errors. */
static void errors_last(const struct sl_tune_work *work, char *buf, size_t buf_size)
{
    char path[PATH_SIZE];
    struct sl_tune_tree tree = {.root = ""};
    (void)snprintf(path, sizeof(path), "%s/errors", work->dir);
    char *text = sl_tune_read_all(&tree, path);
    buf[0] = '\0';
    for (const char *line = text; line != NULL && *line != '\0';) {
        size_t size = strcspn(line, "\n");
        if (strncmp(line, "error: ", 7) == 0 || buf[0] == '\0') {
            (void)snprintf(buf, buf_size, "%.*s", (int)size, line);
        }
        line += size + (line[size] == '\n');
    }
    free(text);
}

/* Read until the end, the time, or a stop. Bytes, or -errno. */
static ssize_t output_read(const struct sl_tune_work *work, int fd, char *text, uint64_t ms_max)
{
    size_t used = 0;
    for (uint64_t ms = 0; ms < ms_max; ms += STEP_MS) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (is_stopped(work)) return -EINTR;
        int r = poll(&wait, 1, STEP_MS);
        if (r <= 0) continue;
        ssize_t got = read(fd, text + used, OUTPUT_SIZE_MAX - used);
        if (got == 0) return (ssize_t)used;
        if (got < 0 && errno != EINTR) return -errno;
        if (got > 0) used += (size_t)got;
        if (used == OUTPUT_SIZE_MAX) return -EFBIG;
    }
    return -ETIMEDOUT;
}

static int child_result(const struct sl_tune_work *work, pid_t pid, ssize_t size,
                        struct sl_diag *reterr)
{
    int status = 0;
    char text[300];
    if (size < 0) {
        child_stop(pid);
        if (size == -EINTR) return -EINTR;
        return failed(reterr, "the harness did not come to its end", (int)size);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    if (is_stopped(work)) return -EINTR;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
    errors_last(work, text, sizeof(text));
    (void)sl_diag_set(reterr, "tune_try", (struct sl_pos){0, 0}, "the comparison failed: %s",
                      text[0] != '\0' ? text : "no word why");
    return -EIO;
}

static int child_run(const struct sl_tune_work *work, char *const *argv,
                     struct sl_tune_measured *ret_measured, struct sl_diag *reterr)
{
    const struct sl_tune_try_config *cfg = work->cfg;
    int pipes[2];
    if (pipe2(pipes, O_CLOEXEC) < 0) return failed(reterr, "no pipe", -errno);
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) child_exec(work, argv, pipes[1]);
    (void)close(pipes[1]);
    if (pid < 0) {
        (void)close(pipes[0]);
        return failed(reterr, "the harness cannot be started", -EAGAIN);
    }
    char *text = malloc(OUTPUT_SIZE_MAX);
    sl_assert(text != NULL);
    uint64_t slots_ms = (uint64_t)work->pairs * 2 * (cfg->slot_ms + cfg->settle_ms);
    ssize_t size = output_read(work, pipes[0], text, slots_ms * 3 + 60000);
    int r = child_result(work, pid, size, reterr);
    (void)close(pipes[0]);
    if (r == 0) r = sl_tune_measured_parse(text, (size_t)size, ret_measured, reterr);
    free(text);
    return r;
}

int sl_tune_work_measure(struct sl_tune_work *work, const struct sl_tune_value *values,
                         uint32_t count, struct sl_tune_measured *ret_measured,
                         struct sl_diag *reterr)
{
    sl_assert(work->dir[0] != '\0');
    sl_assert(work->cfg->load_count <= SL_TUNE_WORDS_MAX);
    const struct sl_tune_try_config *cfg = work->cfg;
    char texts[9][PATH_SIZE + 32];
    const char *argv[ARGV_MAX];
    size_t argc = 0;
    bool has_system = false;
    for (uint32_t i = 0; i < count; i++) has_system |= is_system(&values[i]);
    int r = scripts_put(work, values, count);
    if (r < 0) return failed(reterr, "the scripts of the servers could not be written", r);
    (void)snprintf(texts[0], sizeof(texts[0]), "%u", work->pairs);
    (void)snprintf(texts[1], sizeof(texts[1]), "%ums", cfg->slot_ms);
    (void)snprintf(texts[2], sizeof(texts[2]), "%ums", cfg->settle_ms);
    (void)snprintf(texts[3], sizeof(texts[3]), "%g", cfg->least);
    (void)snprintf(texts[4], sizeof(texts[4]), "a=exec sh %s/a.sh {port} {dir}", work->dir);
    (void)snprintf(texts[5], sizeof(texts[5]), "b=exec sh %s/b.sh {port} {dir}", work->dir);
    (void)snprintf(texts[6], sizeof(texts[6]), "a=sh %s/enter-a.sh", work->dir);
    (void)snprintf(texts[7], sizeof(texts[7]), "b=sh %s/enter-b.sh", work->dir);
    (void)snprintf(texts[8], sizeof(texts[8]), "%u", cfg->connections);
    const char *const words[] = {
        cfg->bench, "compare", "-q",       "--format",      "json",    "--pairs", texts[0],
        "--slot",   texts[1],  "--settle", texts[2],        "--least", texts[3],  "--path",
        cfg->path,  "--cores", work->load, "--connections", texts[8]};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) argv[argc++] = words[i];
    for (size_t i = 0; i < cfg->load_count; i++) argv[argc++] = cfg->load[i];
    const char *const hooks[] = {"--enter", texts[6], "--enter", texts[7]};
    for (size_t i = 0; has_system && i < 4; i++) argv[argc++] = hooks[i];
    argv[argc++] = texts[4];
    argv[argc++] = texts[5];
    argv[argc] = NULL;
    static_assert(ARGV_MAX >= SL_TUNE_WORDS_MAX + 24, "room for all words");
    return child_run(work, (char *const *)(uintptr_t)argv, ret_measured, reterr);
}

/* ---- the folder ------------------------------------------------------------------------------ */

int sl_tune_work_init(struct sl_tune_work *work, const struct sl_tune_try_config *cfg,
                      const struct sl_tune_plan *plan, struct sl_diag *reterr)
{
    sl_assert(work != NULL);
    sl_assert(cfg->files_count > 0);
    cpu_set_t shards;
    cpu_set_t load;
    const char *tmp = getenv("TMPDIR");
    *work = (struct sl_tune_work){.cfg = cfg, .plan = plan, .pairs = cfg->pairs};
    if (tmp == NULL || strlen(tmp) > 48) tmp = "/tmp";
    (void)snprintf(work->dir, sizeof(work->dir), "%s/sluice-tune-XXXXXX", tmp);
    if (mkdtemp(work->dir) == NULL) {
        work->dir[0] = '\0';
        return failed(reterr, "no folder for the trial", -errno);
    }
    sl_tune_try_cores(plan, cfg->connections, &shards, &load);
    sl_tune_cpus_format(&shards, work->shards, sizeof(work->shards));
    sl_tune_cpus_format(&load, work->load, sizeof(work->load));
    int r = file_put(work, "sluice.yaml", "", 0);
    if (r < 0) (void)failed(reterr, "no file in the folder of the trial", r);
    if (r == 0) r = specs_copy(work, reterr);
    if (r < 0) sl_tune_work_fini(work);
    return r;
}

static int node_remove(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info;
    (void)type;
    (void)ftw;
    (void)remove(path);
    return 0;
}

void sl_tune_work_fini(struct sl_tune_work *work)
{
    if (work->dir[0] != '\0') (void)nftw(work->dir, node_remove, 8, FTW_DEPTH | FTW_PHYS);
    work->dir[0] = '\0';
}
