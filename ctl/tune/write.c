/* SPDX-License-Identifier: MIT */
#include "ctl/tune/write.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/yaml/yaml.h"
#include "core/base/assertion.h"

static const char BLOCK_BEGIN[] = "# >>> sluice tune";
static const char BLOCK_END[] = "# <<< sluice tune";

void sl_tune_choices_add(struct sl_tune_choices *choices, const struct sl_tune_proposal *proposal,
                         const char *value, const char *measured)
{
    sl_assert(choices->count < SL_TUNE_PROPOSALS_MAX);
    sl_assert(proposal != NULL);
    struct sl_tune_choice *choice = &choices->items[choices->count++];
    choice->proposal = proposal;
    (void)snprintf(choice->value, sizeof(choice->value), "%s", value);
    (void)snprintf(choice->measured, sizeof(choice->measured), "%s", measured);
}

void sl_tune_choices_default(const struct sl_tune_plan *plan, struct sl_tune_choices *ret_choices)
{
    sl_assert(plan != NULL);
    *ret_choices = (struct sl_tune_choices){.count = 0};
    for (uint32_t i = 0; i < plan->proposals_count; i++) {
        const struct sl_tune_proposal *proposal = &plan->proposals[i];
        if (!proposal->needs_proof) sl_tune_choices_add(ret_choices, proposal, proposal->want, "");
    }
}

/* ---- sluice.yaml ----------------------------------------------------------------------------- */

/* True if the line sets `key` at the top: "spin: 5", "buffer_size: 4096". */
static bool line_has_key(const char *line, size_t size, const char *key)
{
    size_t key_size = strlen(key);
    if (size <= key_size) return false;
    for (size_t i = 0; i < key_size; i++) {
        char c = line[i] == '_' ? '-' : line[i];
        if (c != key[i]) return false;
    }
    const char *at = line + key_size;
    while (at < line + size && *at == ' ') at++;
    return at < line + size && *at == ':';
}

static bool is_replaced(const struct sl_tune_choices *choices, const char *line, size_t size)
{
    for (uint32_t i = 0; i < choices->count; i++) {
        const struct sl_tune_proposal *proposal = choices->items[i].proposal;
        if (proposal->where == SL_TUNE_YAML && line_has_key(line, size, proposal->key)) return true;
    }
    return false;
}

static void old_copy(FILE *out, const struct sl_tune_choices *choices, const char *old,
                     size_t old_size)
{
    const char *end = old + old_size;
    bool in_block = false;
    for (const char *line = old; line < end;) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        size_t size = (size_t)((stop != NULL ? stop : end) - line);
        bool begins = size >= sizeof(BLOCK_BEGIN) - 1 &&
                      memcmp(line, BLOCK_BEGIN, sizeof(BLOCK_BEGIN) - 1) == 0;
        bool ends =
            size >= sizeof(BLOCK_END) - 1 && memcmp(line, BLOCK_END, sizeof(BLOCK_END) - 1) == 0;
        if (begins) in_block = true;
        if (!in_block) {
            if (is_replaced(choices, line, size)) (void)fputs("# before tune: ", out);
            (void)fwrite(line, 1, size, out);
            (void)fputc('\n', out);
        }
        if (ends) in_block = false;
        line += size + (stop != NULL);
    }
}

static void comment_put(FILE *out, const struct sl_tune_choice *choice)
{
    (void)fprintf(out, "# %s\n", choice->proposal->reason);
    if (choice->measured[0] != '\0') {
        (void)fprintf(out, "# measured: %s\n", choice->measured);
    } else {
        (void)fprintf(out, "# not measured; expected: %s\n", choice->proposal->effect);
    }
}

static int text_check(const char *text, size_t size, struct sl_diag *reterr)
{
    struct sl_value value;
    struct sl_diag diag = {0};
    int r = sl_yaml_parse_one(sl_slice_make(text, size), NULL, 0, &value, &diag);
    bool is_map = r == 0 && sl_value_is(value, SL_VALUE_MAP);
    if (r == 0) sl_value_unref(value);
    if (is_map) return 0;
    (void)sl_diag_set(reterr, "bad_config", (struct sl_pos){0, 0},
                      "the configuration that is there cannot take a block at its end%s%s",
                      diag.text[0] != '\0' ? ": " : "", diag.text);
    sl_diag_hint(reterr, "write it as one \"key: value\" a line, or write to another file");
    return -EINVAL;
}

int sl_tune_yaml(const struct sl_tune_choices *choices, const struct sl_tune_machine *machine,
                 const char *old, size_t old_size, char **ret_text, size_t *ret_size,
                 struct sl_diag *reterr)
{
    sl_assert(choices != NULL);
    sl_assert(ret_text != NULL);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) return -ENOMEM;
    if (old != NULL) old_copy(out, choices, old, old_size);
    (void)fprintf(out,
                  "%s: made for this machine (%u cores, kernel %s); write around it, not into it\n",
                  BLOCK_BEGIN, (unsigned)CPU_COUNT(&machine->allowed),
                  machine->kernel[0] != '\0' ? machine->kernel : "unknown");
    uint32_t count = 0;
    for (uint32_t i = 0; i < choices->count; i++) {
        const struct sl_tune_choice *choice = &choices->items[i];
        if (choice->proposal->where != SL_TUNE_YAML) continue;
        comment_put(out, choice);
        (void)fprintf(out, "%s: '%s'\n", choice->proposal->key, choice->value);
        count++;
    }
    if (count == 0) (void)fputs("# nothing here is better than what is there\n", out);
    (void)fprintf(out, "%s\n", BLOCK_END);
    if (fclose(out) != 0) return -ENOMEM;
    int r = count > 0 ? text_check(text, size, reterr) : 0;
    if (r < 0) {
        free(text);
        return r;
    }
    *ret_text = text;
    *ret_size = size;
    return 0;
}

/* ---- files of the system --------------------------------------------------------------------- */

/* A file that is being written; nothing is made of it if nothing is put. */
struct maker {
    struct sl_tune_file *file;
    FILE *out;
    const char *head;
    uint32_t lines;
};

static void maker_begin(struct maker *maker, struct sl_tune_file *file, const char *path,
                        const char *after, const char *head)
{
    *file = (struct sl_tune_file){.text = NULL};
    *maker = (struct maker){.file = file, .head = head};
    (void)snprintf(file->path, sizeof(file->path), "%s", path);
    (void)snprintf(file->after, sizeof(file->after), "%s", after);
    maker->out = open_memstream(&file->text, &file->size);
    sl_assert(maker->out != NULL);
    (void)fprintf(maker->out,
                  "# Written by sluice tune; \"sluice tune --revert\" takes it away.\n%s", head);
}

static bool maker_end(struct maker *maker)
{
    (void)fclose(maker->out);
    if (maker->lines > 0) return true;
    free(maker->file->text);
    maker->file->text = NULL;
    return false;
}

static bool sysctl_make(const struct sl_tune_choices *choices, struct sl_tune_file *file)
{
    struct maker maker;
    maker_begin(&maker, file, "/etc/sysctl.d/60-sluice.conf", "sysctl --system", "");
    for (uint32_t i = 0; i < choices->count; i++) {
        const struct sl_tune_choice *choice = &choices->items[i];
        if (choice->proposal->where != SL_TUNE_SYSCTL) continue;
        comment_put(maker.out, choice);
        (void)fprintf(maker.out, "%s = %s\n", choice->proposal->key, choice->value);
        maker.lines++;
    }
    return maker_end(&maker);
}

static bool tmpfiles_make(const struct sl_tune_choices *choices, struct sl_tune_file *file)
{
    struct maker maker;
    maker_begin(&maker, file, "/etc/tmpfiles.d/60-sluice.conf",
                "systemd-tmpfiles --create /etc/tmpfiles.d/60-sluice.conf", "");
    for (uint32_t i = 0; i < choices->count; i++) {
        const struct sl_tune_choice *choice = &choices->items[i];
        if (choice->proposal->where != SL_TUNE_SYSFS) continue;
        comment_put(maker.out, choice);
        for (uint32_t s = 0; s < choice->proposal->settings_count; s++) {
            const struct sl_tune_setting *setting = &choice->proposal->settings[s];
            (void)fprintf(maker.out, "w- %s - - - - %s\n", setting->path, setting->value);
            maker.lines++;
        }
    }
    return maker_end(&maker);
}

/* Cores and priority of sluice.yaml need something of the unit, too. */
static void unit_extra(struct maker *maker, const struct sl_tune_choice *choice,
                       const struct sl_tune_layout *layout)
{
    char cores[256];
    cpu_set_t set = layout->shards;
    if (choice->proposal->where != SL_TUNE_YAML) return;
    if (strcmp(choice->proposal->key, "cores") == 0) {
        if (layout->control >= 0) CPU_SET((size_t)layout->control, &set);
        sl_tune_cpus_format(&set, cores, sizeof(cores));
        (void)fprintf(maker->out,
                      "# the cores of shards and control; isolated ones are left out otherwise\n"
                      "CPUAffinity=%s\n",
                      cores);
        maker->lines++;
    } else if (strcmp(choice->proposal->key, "priority") == 0 && choice->value[0] == '-') {
        (void)fprintf(maker->out, "# for priority: %s\nLimitNICE=%s\n", choice->value,
                      choice->value);
        maker->lines++;
    }
}

static bool unit_make(const struct sl_tune_choices *choices, const struct sl_tune_layout *layout,
                      struct sl_tune_file *file)
{
    struct maker maker;
    maker_begin(&maker, file, "/etc/systemd/system/sluice.service.d/60-tune.conf",
                "systemctl daemon-reload && systemctl restart sluice", "[Service]\n");
    for (uint32_t i = 0; i < choices->count; i++) {
        const struct sl_tune_choice *choice = &choices->items[i];
        unit_extra(&maker, choice, layout);
        if (choice->proposal->where != SL_TUNE_LIMIT) continue;
        comment_put(maker.out, choice);
        (void)fprintf(maker.out, "%s=%s\n", choice->proposal->key, choice->value);
        maker.lines++;
    }
    return maker_end(&maker);
}

static bool boot_make(const struct sl_tune_choices *choices, struct sl_tune_file *file)
{
    struct maker maker;
    maker_begin(&maker, file, "/etc/default/grub.d/60-sluice.cfg", "update-grub, and a reboot", "");
    for (uint32_t i = 0; i < choices->count; i++) {
        const struct sl_tune_choice *choice = &choices->items[i];
        if (choice->proposal->where != SL_TUNE_BOOT) continue;
        comment_put(maker.out, choice);
        (void)fprintf(maker.out, "GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT %s\"\n",
                      choice->value);
        maker.lines++;
    }
    return maker_end(&maker);
}

uint32_t sl_tune_files(const struct sl_tune_choices *choices, const struct sl_tune_layout *layout,
                       struct sl_tune_file *files)
{
    sl_assert(choices != NULL);
    sl_assert(layout != NULL);
    uint32_t count = 0;
    count += sysctl_make(choices, &files[count]);
    count += tmpfiles_make(choices, &files[count]);
    count += unit_make(choices, layout, &files[count]);
    count += boot_make(choices, &files[count]);
    return count;
}

void sl_tune_files_fini(struct sl_tune_file *files, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        free(files[i].text);
        files[i].text = NULL;
    }
}
