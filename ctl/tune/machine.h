/* SPDX-License-Identifier: MIT */
/*
 * What a machine is, as far as it matters to a server with a thread per core. Read once through a
 * tree (ctl/tune/tree.h); everything that is not there keeps the value that says so.
 *
 *   cpu.c      cores, nodes, siblings, frequency, idle states          /sys/devices/system
 *   net.c      network devices, their queues and interrupts            /sys/class/net, /proc/irq
 *   system.c   kernel, limits, cgroup, memory, virtualisation, rights  /proc
 */
#pragma once

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "ctl/tune/tree.h"

enum {
    SL_TUNE_CPUS_MAX = CPU_SETSIZE,
    SL_TUNE_NODES_MAX = 64,
    SL_TUNE_NICS_MAX = 16,
    SL_TUNE_QUEUES_MAX = 256, /* of one direction of one device */
    SL_TUNE_IRQS_MAX = 1024,
    SL_TUNE_IDLE_STATES_MAX = 12,
    SL_TUNE_WORD_SIZE = 48,
    SL_TUNE_MOUNTS_MAX = 64, /* read-only ones */
};

struct sl_tune_cpu {
    int node;     /* -1: unknown */
    int package;  /* -1: unknown */
    int core_id;  /* inside the package; -1: unknown */
    int first;    /* the lowest of its SMT siblings, itself included */
    int capacity; /* of 1024, or its highest kHz; 0: unknown; for comparing cores of one machine */
    char governor[SL_TUNE_WORD_SIZE];   /* "": no frequency control here */
    char preference[SL_TUNE_WORD_SIZE]; /* energy_performance_preference; "": none */
};

struct sl_tune_idle_state {
    char name[SL_TUNE_WORD_SIZE];
    int64_t latency_us;
    bool disabled;
};

struct sl_tune_nic {
    char name[SL_TUNE_WORD_SIZE];
    char bus[SL_TUNE_WORD_SIZE]; /* name of its device: "virtio2", "0000:3b:00.0"; "": none */
    int node;                    /* -1: unknown */
    bool is_up;
    uint32_t rx_queues;
    uint32_t tx_queues;
    bool has_rps; /* some receive queue is steered by software */
    bool has_xps; /* some send queue has cores of its own */
};

struct sl_tune_irq {
    uint32_t number;
    uint32_t nic;                 /* index of its device */
    char name[SL_TUNE_WORD_SIZE]; /* "eth0-TxRx-3" */
    bool is_queue;                /* not for configuration, errors, firmware */
    uint64_t count;               /* since boot, all cores */
    cpu_set_t affinity;           /* where it may go */
};

/* An io_uring of the machine that we run on, tried. */
struct sl_tune_probe {
    bool is_known; /* false: another machine's tree */
    bool works;
    char text[256]; /* what it has, or why not */
};

struct sl_tune_machine {
    struct sl_tune_tree tree;

    cpu_set_t online;
    cpu_set_t allowed;  /* to this process: affinity and cpuset */
    cpu_set_t isolated; /* isolcpus= */
    cpu_set_t nohz_full;
    struct sl_tune_cpu *cpus; /* array of SL_TUNE_CPUS_MAX, by number; owned */
    uint32_t nodes_count;     /* with cores; 1 where the system does not say */
    uint32_t cores_count;     /* physical ones among the allowed */
    bool has_smt;             /* some allowed cores share a physical one */
    int64_t cache_l2_size;    /* bytes of core 0; 0: unknown */
    char governors[256];      /* that exist: "performance powersave" */
    char idle_driver[SL_TUNE_WORD_SIZE];
    struct sl_tune_idle_state idle_states[SL_TUNE_IDLE_STATES_MAX]; /* of the first allowed core */
    uint32_t idle_states_count;
    int64_t no_turbo;    /* intel_pstate; 1: switched off; -1: not there */
    int64_t boost;       /* acpi-cpufreq; 0: switched off; -1: not there */
    int64_t haltpoll_ns; /* a guest's poll before it halts; -1: no haltpoll */
    char clocksource[SL_TUNE_WORD_SIZE];
    char clocksources[256];

    struct sl_tune_nic nics[SL_TUNE_NICS_MAX];
    uint32_t nics_count;
    struct sl_tune_irq *irqs; /* array of irqs_count: those of network devices; owned */
    uint32_t irqs_count;
    uint64_t irqs_total; /* device interrupts of all kinds since boot */
    bool has_irqbalance;

    char kernel[64]; /* "6.1.0-18-amd64" */
    uint32_t kernel_major;
    uint32_t kernel_minor;
    char cmdline[SL_TUNE_TEXT_SIZE];
    int64_t uring_disabled; /* sysctl; -1: the kernel has none */
    struct sl_tune_probe probe;
    char thp[SL_TUNE_WORD_SIZE]; /* transparent huge pages; "": none */
    int64_t somaxconn;           /* sysctls: -1: not there */
    int64_t syn_backlog;
    int64_t busy_poll;
    int64_t busy_read;
    int64_t swappiness;
    int64_t numa_balancing;
    int64_t nr_open;
    int64_t swap_kib;

    int64_t nofile_soft; /* -1: unlimited */
    int64_t nofile_hard;
    int64_t memlock_soft; /* bytes */
    int64_t memlock_hard;
    int64_t nice_max; /* 40 - lowest nice that is allowed; 0: none below 0 */
    int64_t rtprio_max;

    double quota;            /* cores' worth of time of the cgroup; 0: none */
    int64_t throttled_count; /* periods in which the cgroup had to stop; -1: unknown */
    int64_t memory_limit;    /* bytes of the cgroup; 0: none */
    int64_t memory_total;    /* bytes */
    bool is_container;
    bool is_virtual;
    char vendor[64];    /* of the (virtual) machine; may be "" */
    double steal_share; /* of the time that cores were wanted, since boot */
    bool has_systemd;

    bool is_root;
    bool can_nice;                         /* CAP_SYS_NICE */
    bool is_laptop;                        /* has a battery */
    bool on_battery;                       /* and runs on it */
    char readonly[SL_TUNE_MOUNTS_MAX][64]; /* mount points below /proc and /sys: array of … */
    uint32_t readonly_count;
};

/*
 * Read a machine. It always succeeds: what cannot be read is unknown.
 *
 * root     NULL: this machine, which is also asked whether io_uring works
 * returns  owned by the caller; NULL for no memory or a path that is too long
 */
struct sl_tune_machine *sl_tune_machine_read(const char *root);

/* NULL is fine; returns NULL. */
struct sl_tune_machine *sl_tune_machine_free(struct sl_tune_machine *machine);

/* May this process write `path`: as root, and not on a read-only mount. */
bool sl_tune_machine_may_write(const struct sl_tune_machine *machine, const char *path);

/* Kernel at least major.minor; true if the kernel is unknown. */
bool sl_tune_machine_has_kernel(const struct sl_tune_machine *machine, uint32_t major,
                                uint32_t minor);

/* The parts, each in its file; called by sl_tune_machine_read in this order. */
void sl_tune_read_system(struct sl_tune_machine *machine);
void sl_tune_read_cpu(struct sl_tune_machine *machine);
void sl_tune_read_net(struct sl_tune_machine *machine);

/* ---- parsing, for tests and fuzzing ---------------------------------------------------------- */

/* One line of /proc/interrupts. False: not a numbered one, or malformed. */
bool sl_tune_irq_parse(const char *line, uint32_t columns, uint32_t *ret_number,
                       uint64_t *ret_count, char *name, size_t name_size);

/* A row of /proc/self/limits: "unlimited" is -1. False: not there. */
bool sl_tune_limit_parse(const char *text, const char *name, int64_t *ret_soft, int64_t *ret_hard);

/* Path of the cgroup from /proc/self/cgroup: version 2's, or of a version 1 controller. */
bool sl_tune_cgroup_parse(const char *text, const char *controller, char *buf, size_t buf_size);

/* ---- what was found, for people and programs ------------------------------------------------- */

typedef void sl_tune_fact_fn(void *ctx, const char *area, const char *name, const char *text);

/* Tell every fact in a fixed order: area ("cores", "network", …), name, and text. */
void sl_tune_machine_facts(const struct sl_tune_machine *machine, sl_tune_fact_fn *fn, void *ctx);
