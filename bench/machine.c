/* SPDX-License-Identifier: MIT */
/* Reading the machine's facts from uname, /proc and /sys. */
#include "bench/machine.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "core/base/diag.h"

/* Copy the first line of a file, or the value after `key` of the first line that begins with it. */
static void line_read(const char *path, const char *key, char *buf, size_t buf_size)
{
    char line[2048];
    FILE *in = fopen(path, "re");
    buf[0] = '\0';
    while (in != NULL && fgets(line, sizeof(line), in) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (key == NULL) {
            (void)snprintf(buf, buf_size, "%.*s", (int)buf_size - 1, line);
            break;
        }
        if (strncmp(line, key, strlen(key)) != 0) continue;
        const char *value = strchr(line, ':');
        value = value != NULL ? value + 1 : line;
        value += strspn(value, " \t");
        (void)snprintf(buf, buf_size, "%.*s", (int)buf_size - 1, value);
        break;
    }
    if (in != NULL) (void)fclose(in);
}

void sl_machine_get(struct sl_machine *ret_machine)
{
    struct utsname name;
    char flags[2048];
    memset(ret_machine, 0, sizeof(*ret_machine));
    if (uname(&name) == 0) {
        (void)snprintf(ret_machine->kernel, sizeof(ret_machine->kernel), "%.40s %.40s %.40s",
                       name.sysname, name.release, name.machine);
    }
    line_read("/proc/cpuinfo", "model name", ret_machine->cpu, sizeof(ret_machine->cpu));
    line_read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", NULL, ret_machine->governor,
              sizeof(ret_machine->governor));
    line_read("/proc/cpuinfo", "flags", flags, sizeof(flags));
    if (strstr(flags, " hypervisor") != NULL) {
        (void)snprintf(ret_machine->virtualised, sizeof(ret_machine->virtualised),
                       "virtual machine");
    }
    ret_machine->cores = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    ret_machine->memory_bytes = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
}

void sl_machine_text(const struct sl_machine *machine, char *buf, size_t buf_size)
{
    (void)snprintf(buf, buf_size, "%s, %u core%s, %s, %s%s%s%s%s", machine->cpu, machine->cores,
                   sl_plural(machine->cores), sl_fmt_bytes(machine->memory_bytes).text,
                   machine->kernel, machine->governor[0] != '\0' ? ", governor " : "",
                   machine->governor, machine->virtualised[0] != '\0' ? ", " : "",
                   machine->virtualised);
}

void sl_machine_json(struct sl_json *json, const struct sl_machine *machine)
{
    sl_json_begin(json, "machine", '{');
    sl_json_string(json, "kernel", machine->kernel);
    sl_json_string(json, "cpu", machine->cpu);
    sl_json_uint(json, "cores", machine->cores);
    sl_json_number(json, "memory_bytes", machine->memory_bytes, 0);
    sl_json_string(json, "governor", machine->governor);
    sl_json_bool(json, "virtual", machine->virtualised[0] != '\0');
    sl_json_end(json, '}');
}

void sl_machine_command(char *buf, size_t buf_size)
{
    FILE *in = fopen("/proc/self/cmdline", "re");
    size_t size = in != NULL ? fread(buf, 1, buf_size - 1, in) : 0;
    if (in != NULL) (void)fclose(in);
    for (size_t i = 0; i + 1 < size; i++) {
        if (buf[i] == '\0') buf[i] = ' ';
    }
    buf[size] = '\0';
}
