/* SPDX-License-Identifier: MIT */
#include "ctl/cli/percore.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "core/base/limit.h"

enum { BUFFERS_MIN = 8, BUFFER_SIZE_MIN = 1024 };

/* ---- cores ----------------------------------------------------------------------------------- */

static bool core_add(int core, int *cores, uint32_t max, uint32_t *count)
{
    for (uint32_t i = 0; i < *count; i++) {
        if (cores[i] == core) return false;
    }
    if (*count == max) return false;
    cores[(*count)++] = core;
    return true;
}

bool cli_cores_parse(const char *text, int *ret_cores, uint32_t max, uint32_t *ret_count)
{
    sl_assert(text != NULL);
    sl_assert(ret_cores != NULL);
    const char *at = text;
    uint32_t count = 0;
    while (*at >= '0' && *at <= '9') {
        char *end;
        long first = strtol(at, &end, 10);
        long last = first;
        if (*end == '-' && end[1] >= '0' && end[1] <= '9') last = strtol(end + 1, &end, 10);
        if (last < first || last >= CPU_SETSIZE) return false;
        for (long core = first; core <= last; core++) {
            if (!core_add((int)core, ret_cores, max, &count)) return false;
        }
        at = end;
        if (*at == '\0') break;
        if (*at != ',' || at[1] == '\0') return false;
        at++;
    }
    *ret_count = count;
    return count > 0 && *at == '\0';
}

/* All that this process may use, but the one for the control thread if another is left. */
static bool cores_auto(struct sl_runtime_config *cfg)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) < 0) return false;
    if (cfg->control_cpu >= 0 && CPU_COUNT(&set) > 1) CPU_CLR((size_t)cfg->control_cpu, &set);
    for (int core = 0; core < CPU_SETSIZE && cfg->cpus_count < SL_SHARDS_MAX; core++) {
        if (CPU_ISSET((size_t)core, &set)) cfg->cpus[cfg->cpus_count++] = core;
    }
    return cfg->cpus_count > 0;
}

static bool core_is_allowed(struct cli_args *args, const char *option, int core)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) < 0 || CPU_ISSET((size_t)core, &set)) return true;
    cli_value_error(args, option, "core %d is not there, or not allowed to this process", core);
    return false;
}

static bool cores_read(struct cli_args *args, struct sl_runtime_config *cfg)
{
    const char *text = cli_get(args, "cores");
    cfg->cpus_count = 0;
    if (strcmp(text, "auto") == 0) return cores_auto(cfg);
    if (!cli_cores_parse(text, cfg->cpus, SL_SHARDS_MAX, &cfg->cpus_count)) {
        cli_value_error(args, "cores",
                        "expected auto, or different cores such as 0,2-3, at most %d",
                        SL_SHARDS_MAX);
        return false;
    }
    for (uint32_t i = 0; i < cfg->cpus_count; i++) {
        if (!core_is_allowed(args, "cores", cfg->cpus[i])) return false;
    }
    return true;
}

static bool control_core_read(struct cli_args *args, struct sl_runtime_config *cfg)
{
    const char *text = cli_get(args, "control-core");
    uint32_t count;
    cfg->control_cpu = -1;
    if (strcmp(text, "none") == 0) return true;
    if (!cli_cores_parse(text, &cfg->control_cpu, 1, &count)) {
        cli_value_error(args, "control-core", "expected none, or one core such as 1");
        return false;
    }
    return core_is_allowed(args, "control-core", cfg->control_cpu);
}

/* ---- priority -------------------------------------------------------------------------------- */

bool cli_priority_parse(const char *text, struct sl_priority *ret_priority)
{
    sl_assert(text != NULL);
    sl_assert(ret_priority != NULL);
    if (strcmp(text, "normal") == 0) {
        *ret_priority = (struct sl_priority){.kind = SL_PRIORITY_NORMAL};
        return true;
    }
    bool is_fifo = strncmp(text, "fifo:", 5) == 0;
    const char *number = is_fifo ? text + 5 : text;
    char *end;
    long value = strtol(number, &end, 10);
    if (end == number || *end != '\0') return false;
    if (is_fifo ? value < 1 || value > 99 : value < -20 || value > 19) return false;
    *ret_priority = (struct sl_priority){.kind = is_fifo ? SL_PRIORITY_FIFO : SL_PRIORITY_NICE,
                                         .value = (int)value};
    return true;
}

/* ---- all ------------------------------------------------------------------------------------- */

static bool poller_read(struct cli_args *args, struct sl_runtime_config *cfg)
{
    struct sl_diag diag = {0};
    if (sl_poller_kind_parse(sl_slice_from_str(cli_get(args, "poller")), &cfg->poller, &diag) == 0)
        return true;
    cli_value_error(args, "poller", "expected auto, uring or epoll");
    return false;
}

bool cli_percore_read(struct cli_args *args, struct sl_runtime_config *cfg)
{
    sl_assert(args != NULL);
    sl_assert(cfg != NULL);
    int64_t bufs = 0;
    int64_t buf_size = 0;
    int64_t batch = 0;
    int64_t backlog = 0;
    if (!control_core_read(args, cfg) || !cores_read(args, cfg) || !poller_read(args, cfg) ||
        !cli_get_number(args, "buffers", BUFFERS_MIN, SL_POLLER_BUFS_MAX, &bufs) ||
        !cli_get_number(args, "buffer-size", BUFFER_SIZE_MIN, SL_POLLER_BUF_SIZE_MAX, &buf_size) ||
        !cli_get_number(args, "batch", 0, SL_POLLER_BATCH_MAX, &batch) ||
        !cli_get_number(args, "backlog", 1, SL_POLLER_BACKLOG_MAX, &backlog) ||
        !cli_get_duration_us(args, "spin", SL_POLLER_SPIN_US_MAX, &cfg->poller_config.spin_us)) {
        return false;
    }
    if ((bufs & (bufs - 1)) != 0) {
        cli_value_error(args, "buffers", "expected a power of two");
        return false;
    }
    if (!cli_priority_parse(cli_get(args, "priority"), &cfg->priority)) {
        cli_value_error(args, "priority",
                        "expected normal, -20 to 19 (nice), or fifo:1 to fifo:99");
        return false;
    }
    cfg->poller_config.bufs_count = (uint32_t)bufs;
    cfg->poller_config.buf_size = (uint32_t)buf_size;
    cfg->poller_config.batch = (uint32_t)batch;
    cfg->poller_config.backlog = (uint32_t)backlog;
    return true;
}
