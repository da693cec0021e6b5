/* SPDX-License-Identifier: MIT */
/* Network devices: their queues, and which cores their interrupts come to. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/assertion.h"
#include "ctl/tune/machine.h"

/* The last part of the link /sys/class/net/NAME/device. */
static void bus_read(const struct sl_tune_machine *machine, struct sl_tune_nic *nic)
{
    char path[SL_TUNE_PATH_SIZE];
    char full[SL_TUNE_PATH_SIZE];
    char target[SL_TUNE_PATH_SIZE];
    (void)snprintf(path, sizeof(path), "/sys/class/net/%s/device", nic->name);
    sl_tune_path(&machine->tree, path, full, sizeof(full));
    ssize_t size = readlink(full, target, sizeof(target) - 1);
    if (size <= 0) return;
    target[size] = '\0';
    const char *slash = strrchr(target, '/');
    (void)snprintf(nic->bus, sizeof(nic->bus), "%.*s", SL_TUNE_WORD_SIZE - 1,
                   slash != NULL ? slash + 1 : target);
}

/* Some queue of `prefix` has a mask in `file` that is not empty. */
static bool queues_have(const struct sl_tune_machine *machine, const struct sl_tune_nic *nic,
                        const char *prefix, uint32_t count, const char *file)
{
    for (uint32_t i = 0; i < count; i++) {
        char path[SL_TUNE_PATH_SIZE];
        char text[SL_TUNE_TEXT_SIZE];
        cpu_set_t set;
        (void)snprintf(path, sizeof(path), "/sys/class/net/%s/queues/%s%u/%s", nic->name, prefix, i,
                       file);
        if (!sl_tune_read_line(&machine->tree, path, text, sizeof(text))) continue;
        if (sl_tune_mask_parse(text, &set) && CPU_COUNT(&set) > 0) return true;
    }
    return false;
}

static void queues_count(const struct sl_tune_machine *machine, struct sl_tune_nic *nic)
{
    char path[SL_TUNE_PATH_SIZE];
    char **names;
    (void)snprintf(path, sizeof(path), "/sys/class/net/%s/queues", nic->name);
    size_t count = sl_tune_list(&machine->tree, path, SL_TUNE_QUEUES_MAX * 2, &names);
    for (size_t i = 0; i < count; i++) {
        nic->rx_queues += strncmp(names[i], "rx-", 3) == 0;
        nic->tx_queues += strncmp(names[i], "tx-", 3) == 0;
    }
    free(names);
    nic->has_rps = queues_have(machine, nic, "rx-", nic->rx_queues, "rps_cpus");
    nic->has_xps = queues_have(machine, nic, "tx-", nic->tx_queues, "xps_cpus");
}

/* Devices with hardware (or a hypervisor) behind them; loopback, bridges and tunnels have none. */
static void nics_read(struct sl_tune_machine *machine)
{
    char **names;
    size_t count = sl_tune_list(&machine->tree, "/sys/class/net", 256, &names);
    for (size_t i = 0; i < count && machine->nics_count < SL_TUNE_NICS_MAX; i++) {
        struct sl_tune_nic *nic = &machine->nics[machine->nics_count];
        char path[SL_TUNE_PATH_SIZE];
        char text[32];
        int64_t node = -1;
        (void)snprintf(path, sizeof(path), "/sys/class/net/%s/device", names[i]);
        if (!sl_tune_exists(&machine->tree, path)) continue;
        *nic = (struct sl_tune_nic){.node = -1};
        (void)snprintf(nic->name, sizeof(nic->name), "%.*s", SL_TUNE_WORD_SIZE - 1, names[i]);
        (void)snprintf(path, sizeof(path), "/sys/class/net/%s/device/numa_node", names[i]);
        if (sl_tune_read_number(&machine->tree, path, &node) && node >= 0 &&
            node < SL_TUNE_NODES_MAX) {
            nic->node = (int)node;
        }
        (void)snprintf(path, sizeof(path), "/sys/class/net/%s/operstate", names[i]);
        nic->is_up = !sl_tune_read_line(&machine->tree, path, text, sizeof(text)) ||
                     strcmp(text, "down") != 0;
        bus_read(machine, nic);
        queues_count(machine, nic);
        machine->nics_count++;
    }
    free(names);
}

/* ---- interrupts ------------------------------------------------------------------------------ */

/* " 38:          0       9255 PCI-MSIX-0000:00:03.0   1-edge      virtio2-input.0" */
bool sl_tune_irq_parse(const char *line, uint32_t columns, uint32_t *ret_number,
                       uint64_t *ret_count, char *name, size_t name_size)
{
    sl_assert(line != NULL);
    sl_assert(name_size > 0);
    const char *at = line + strspn(line, " \t");
    char *end;
    if (!isdigit((unsigned char)*at)) return false;
    unsigned long number = strtoul(at, &end, 10);
    if (*end != ':' || number > UINT32_MAX) return false;
    at = end + 1;
    uint64_t count = 0;
    for (uint32_t i = 0; i < columns; i++) {
        at += strspn(at, " \t");
        if (!isdigit((unsigned char)*at)) return false;
        count += strtoull(at, &end, 10);
        at = end;
    }
    size_t size = strcspn(at, "\r\n");
    while (size > 0 && isspace((unsigned char)at[size - 1])) size--;
    size_t begin = size;
    while (begin > 0 && !isspace((unsigned char)at[begin - 1])) begin--;
    (void)snprintf(name, name_size, "%.*s", (int)(size - begin), at + begin);
    *ret_number = (uint32_t)number;
    *ret_count = count;
    return true;
}

/* `name` begins with `prefix`, and that is a whole word: "eth1" is no part of "eth10-rx". */
static bool is_of(const char *name, const char *prefix)
{
    size_t size = strlen(prefix);
    if (size == 0 || strncmp(name, prefix, size) != 0) return false;
    return !isalnum((unsigned char)name[size]);
}

/* Drivers name interrupts by device ("eth0-TxRx-1"), by bus ("virtio2-input.0", "…@pci:0000:3b"). */
static int irq_nic(const struct sl_tune_machine *machine, uint32_t number, const char *name)
{
    const char *pci = strstr(name, "@pci:");
    for (uint32_t i = 0; i < machine->nics_count; i++) {
        const struct sl_tune_nic *nic = &machine->nics[i];
        char path[SL_TUNE_PATH_SIZE];
        if (is_of(name, nic->name) || is_of(name, nic->bus)) return (int)i;
        if (pci != NULL && nic->bus[0] != '\0' && strcmp(pci + 5, nic->bus) == 0) return (int)i;
        (void)snprintf(path, sizeof(path), "/sys/class/net/%s/device/msi_irqs/%u", nic->name,
                       number);
        if (sl_tune_exists(&machine->tree, path)) return (int)i;
    }
    return -1;
}

static bool is_queue(const char *name)
{
    static const char *const others[] = {"config", "mgmnt", "async", "event", "fw", "misc"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (strstr(name, others[i]) != NULL) return false;
    }
    return true;
}

static uint32_t columns_count(const char *line)
{
    uint32_t count = 0;
    for (const char *at = line; (at = strstr(at, "CPU")) != NULL; at += 3) {
        if (at >= line + strcspn(line, "\n")) break;
        count++;
    }
    return count;
}

static void irqs_read(struct sl_tune_machine *machine)
{
    char *text = sl_tune_read_all(&machine->tree, "/proc/interrupts");
    if (text == NULL) return;
    uint32_t columns = columns_count(text);
    for (const char *line = text; *line != '\0' && columns > 0;) {
        struct sl_tune_irq irq = {.number = 0};
        const char *next = line + strcspn(line, "\n");
        next += *next == '\n';
        bool is_one =
            sl_tune_irq_parse(line, columns, &irq.number, &irq.count, irq.name, sizeof(irq.name));
        line = next;
        if (!is_one) continue;
        machine->irqs_total += irq.count;
        int nic = irq_nic(machine, irq.number, irq.name);
        if (nic < 0 || machine->irqs_count == SL_TUNE_IRQS_MAX) continue;
        char path[64];
        irq.nic = (uint32_t)nic;
        irq.is_queue = is_queue(irq.name);
        CPU_ZERO(&irq.affinity);
        (void)snprintf(path, sizeof(path), "/proc/irq/%u/smp_affinity_list", irq.number);
        (void)sl_tune_read_cpus(&machine->tree, path, &irq.affinity);
        machine->irqs[machine->irqs_count++] = irq;
    }
    free(text);
}

void sl_tune_read_net(struct sl_tune_machine *machine)
{
    sl_assert(machine != NULL);
    sl_assert(machine->irqs != NULL);
    nics_read(machine);
    irqs_read(machine);
    machine->has_irqbalance = sl_tune_exists(&machine->tree, "/run/irqbalance") ||
                              sl_tune_exists(&machine->tree, "/run/irqbalance.pid");
}
