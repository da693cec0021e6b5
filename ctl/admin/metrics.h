/* SPDX-License-Identifier: MIT */
/*
 * The one table of metrics: what /metrics writes, and what docs/METRICS.md says. Each line is
 *
 *   X(id, name without "sluice_", TYPE, SCOPE, help, value)
 *
 * where `value` is an expression over `m`, struct metric_point. Scopes and their labels:
 *
 *   RUNTIME   none                SHARD     shard
 *   CLASS     listener, shard, class (m->class: 2 to 5)       LISTENER  listener, shard
 *   STATUS    listener, shard, status                         NODE      node, kind
 *   CODE      node, kind, code
 *
 * At most SL_ADMIN_NODES_MAX nodes, the busiest, have lines of their own; the rest is node="others".
 */
#pragma once

#include "core/graph/program.h"
#include "ctl/admin/internal.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };
enum metric_scope {
    METRIC_RUNTIME,
    METRIC_SHARD,
    METRIC_LISTENER,
    METRIC_CLASS,
    METRIC_STATUS,
    METRIC_NODE,
    METRIC_CODE,
};

/* What a value is taken from; what its scope does not need is NULL or 0. */
struct metric_point {
    const struct admin_view *view;
    const struct sl_admin_shard *shard;
    const struct sl_source_stats *stats;
    const struct admin_node *node;
    uint32_t class;
    uint32_t refusal; /* index of stats->refusals */
    uint64_t code_count;
    uint64_t programs[3]; /* alive, published, refused */
    uint64_t states[3];   /* nodes: active, last_good, inactive */
};

#define SL_NS(ns) ((double)(ns) / 1e9)

#define SL_METRICS(X)                                                                              \
    X(uptime, "uptime_seconds", GAUGE, RUNTIME, "Time since the start.",                           \
      (double)m->view->uptime_ms / 1000)                                                           \
    X(revision, "revision", GAUGE, RUNTIME, "Revision of the registry that is published.",         \
      m->view->program != NULL ? m->view->program->revision : 0)                                   \
    X(swaps, "swaps_total", COUNTER, RUNTIME, "Programs that were published.", m->programs[1])     \
    X(swaps_refused, "swaps_refused_total", COUNTER, RUNTIME,                                      \
      "Programs that a shard refused; the one before ran on.", m->programs[2])                     \
    X(programs, "programs_alive", GAUGE, RUNTIME,                                                  \
      "Generations of the program that exist: the current one and those still in use.",            \
      m->programs[0])                                                                              \
    X(active, "nodes_active", GAUGE, RUNTIME, "Specifications that run in their newest version.",  \
      m->states[0])                                                                                \
    X(last_good, "nodes_last_good", GAUGE, RUNTIME,                                                \
      "Specifications that run in an older version: the newest cannot.", m->states[1])             \
    X(inactive, "nodes_inactive", GAUGE, RUNTIME, "Specifications that do not run.", m->states[2]) \
    X(answered, "shard_answered", GAUGE, SHARD,                                                    \
      "1 if the shard answered for this picture in time; 0: it is in one long turn.",              \
      m->shard->answered)                                                                          \
    X(cpu, "shard_cpu_seconds_total", COUNTER, SHARD, "Time that the shard's thread ran.",         \
      SL_NS(m->shard->cpu_ns))                                                                     \
    X(processes, "shard_processes", GAUGE, SHARD, "Processes that live.", m->shard->processes)     \
    X(begun, "shard_processes_total", COUNTER, SHARD, "Processes that began.",                     \
      m->shard->processes_begun)                                                                   \
    X(reports, "shard_reports_dropped", GAUGE, SHARD,                                              \
      "Error reports left out since the last one: beyond the rate limit.",                         \
      m->shard->reports_dropped)                                                                   \
    X(turns, "shard_turns_total", COUNTER, SHARD, "Turns of the run loop.", m->shard->loop.turns)  \
    X(tasks, "shard_tasks_total", COUNTER, SHARD, "Tasks that the loop ran.",                      \
      m->shard->loop.tasks)                                                                        \
    X(mails, "shard_mails_total", COUNTER, SHARD, "Messages from other threads.",                  \
      m->shard->loop.mails)                                                                        \
    X(mails_max, "shard_mailbox_depth_max", GAUGE, SHARD,                                          \
      "The most messages that waited at once.", m->shard->loop.mails_max)                          \
    X(stalls, "shard_stalls_total", COUNTER, SHARD, "Turns longer than --stall.",                  \
      m->shard->loop.stalls)                                                                       \
    X(stall_max, "shard_stall_max_seconds", GAUGE, SHARD, "The longest turn that was a stall.",    \
      SL_NS(m->shard->loop.stall_ns_max))                                                          \
    X(pool_used, "shard_pool_used_bytes", GAUGE, SHARD, "Memory of the shard in use.",             \
      m->shard->mem.used)                                                                          \
    X(pool_reserved, "shard_pool_reserved_bytes", GAUGE, SHARD,                                    \
      "Memory of the shard taken from the system.", m->shard->mem.reserved)                        \
    X(pool_cap, "shard_pool_cap_bytes", GAUGE, SHARD, "What it may take.", m->shard->mem.cap)      \
    X(pool_system, "shard_pool_system_calls_total", COUNTER, SHARD,                                \
      "Times the system was asked for memory.", m->shard->mem.system_calls)                        \
    X(pool_refused, "shard_pool_refused_total", COUNTER, SHARD,                                    \
      "Allocations refused because the cap was reached.", m->shard->mem.refused_count)             \
    X(waits, "poller_waits_total", COUNTER, SHARD, "Calls of the poller's wait.",                  \
      m->shard->poller.waits)                                                                      \
    X(sleeps, "poller_sleeps_total", COUNTER, SHARD, "Waits that could block.",                    \
      m->shard->poller.sleeps)                                                                     \
    X(syscalls, "poller_syscalls_total", COUNTER, SHARD, "System calls of the poller.",            \
      m->shard->poller.syscalls)                                                                   \
    X(events, "poller_events_total", COUNTER, SHARD, "Events delivered.", m->shard->poller.events) \
    X(enobufs, "poller_enobufs_total", COUNTER, SHARD, "Receives that found no buffer.",           \
      m->shard->poller.enobufs)                                                                    \
    X(rearms, "poller_rearms_total", COUNTER, SHARD, "Multishot operations armed again.",          \
      m->shard->poller.rearms)                                                                     \
    X(overflows, "poller_cq_overflows_total", COUNTER, SHARD,                                      \
      "Completions that did not fit the completion queue.", m->shard->poller.cq_overflows)         \
    X(short_sends, "poller_short_sends_total", COUNTER, SHARD, "Sends that took only a part.",     \
      m->shard->poller.short_sends)                                                                \
    X(accepts, "poller_accepts_total", COUNTER, SHARD, "Connections taken.",                       \
      m->shard->poller.accepts)                                                                    \
    X(accept_errors, "poller_accept_errors_total", COUNTER, SHARD,                                 \
      "Connections that could not be taken: no descriptors, aborted.",                             \
      m->shard->poller.accept_errors)                                                              \
    X(received, "poller_received_bytes_total", COUNTER, SHARD, "Bytes received.",                  \
      m->shard->poller.bytes_received)                                                             \
    X(sent, "poller_sent_bytes_total", COUNTER, SHARD, "Bytes sent.", m->shard->poller.bytes_sent) \
    X(ops, "poller_ops_pending", GAUGE, SHARD, "Operations that wait.",                            \
      m->shard->poller.ops_pending)                                                                \
    X(remote_calls, "remote_calls_total", COUNTER, SHARD, "Packets sent to other shards.",         \
      m->shard->remote.calls)                                                                      \
    X(remote_answers, "remote_answers_total", COUNTER, SHARD, "Answers sent to other shards.",     \
      m->shard->remote.answers)                                                                    \
    X(remote_refused, "remote_refused_total", COUNTER, SHARD,                                      \
      "Packets for which the ring had no room.", m->shard->remote.refused)                         \
    X(remote_waiting, "remote_answers_waiting", GAUGE, SHARD,                                      \
      "Answers to other shards that found no room yet.", m->shard->remote.waiting)                 \
    X(ring_bytes, "remote_ring_bytes", GAUGE, SHARD,                                               \
      "Bytes that wait in the rings to all other shards.", m->shard->remote.ring_bytes)            \
    X(ring_max, "remote_ring_bytes_fullest", GAUGE, SHARD, "The same, in the fullest ring.",       \
      m->shard->remote.ring_bytes_max)                                                             \
    X(ring_size, "remote_ring_size_bytes", GAUGE, SHARD, "What one ring holds; 0 with one shard.", \
      m->shard->remote.ring_size)                                                                  \
    X(slab_bytes, "remote_slab_bytes", GAUGE, SHARD, "Bytes of large packets beside the rings.",   \
      m->shard->remote.slab_bytes)                                                                 \
    X(access, "access_log_records_total", COUNTER, SHARD, "Requests for the access log.",          \
      m->shard->access.records)                                                                    \
    X(access_dropped, "access_log_dropped_total", COUNTER, SHARD,                                  \
      "Requests missing in the access log: its writer did not keep up.", m->shard->access.dropped) \
    X(workers, "workers", GAUGE, SHARD, "Worker processes of scripts that live, spares included.", \
      m->shard->workers.alive)                                                                     \
    X(workers_ready, "workers_ready", GAUGE, SHARD, "Of these, that can take a call or have one.", \
      m->shard->workers.ready)                                                                     \
    X(workers_busy, "workers_busy", GAUGE, SHARD, "Workers with a call.", m->shard->workers.busy)  \
    X(workers_queued, "workers_queued", GAUGE, SHARD, "Calls that wait for a worker.",             \
      m->shard->workers.queued)                                                                    \
    X(worker_calls, "worker_calls_total", COUNTER, SHARD, "Calls given to a worker.",              \
      m->shard->workers.calls)                                                                     \
    X(workers_spawned, "workers_spawned_total", COUNTER, SHARD, "Worker processes started.",       \
      m->shard->workers.spawned)                                                                   \
    X(workers_killed, "workers_killed_total", COUNTER, SHARD,                                      \
      "Workers killed: a call did not end, or they said what cannot be.",                          \
      m->shard->workers.killed)                                                                    \
    X(workers_crashed, "workers_crashed_total", COUNTER, SHARD,                                    \
      "Workers that died by themselves.", m->shard->workers.crashed)                               \
    X(workers_retired, "workers_retired_total", COUNTER, SHARD,                                    \
      "Workers ended in good order: their memory grew, they were idle for long, no script left.",  \
      m->shard->workers.retired)                                                                   \
    X(worker_failures, "worker_failures_total", COUNTER, SHARD,                                    \
      "Workers that could not be started.", m->shard->workers.failures)                            \
    X(worker_overload, "worker_overload_total", COUNTER, SHARD, "Calls refused: too many waited.", \
      m->shard->workers.overload)                                                                  \
    X(worker_paced, "worker_paced_total", COUNTER, SHARD,                                          \
      "Results that had to wait: large ones, more than one part in 256 of the time.",              \
      m->shard->workers.paced)                                                                     \
    X(requests, "http_requests_total", COUNTER, LISTENER, "Requests that reached the listener.",   \
      m->stats->requests)                                                                          \
    X(responses, "http_responses_total", COUNTER, CLASS, "Answers by class of status.",            \
      m->stats->responses[m->class])                                                               \
    X(connections, "http_connections", GAUGE, LISTENER, "Connections that are open.",              \
      m->stats->connections)                                                                       \
    X(idle, "http_connections_idle", GAUGE, LISTENER, "Of these, without a request.",              \
      m->stats->idle)                                                                              \
    X(accepted, "http_connections_total", COUNTER, LISTENER, "Connections accepted.",              \
      m->stats->accepted)                                                                          \
    X(refused, "http_connections_refused_total", COUNTER, LISTENER,                                \
      "Connections beyond connections_max.", m->stats->refused)                                    \
    X(in_flight, "http_requests_in_flight", GAUGE, LISTENER, "Requests not yet answered.",         \
      m->stats->in_flight)                                                                         \
    X(bad, "http_bad_requests_total", COUNTER, LISTENER,                                           \
      "Requests that the parser or a limit refused.", m->stats->bad_requests)                      \
    X(refusals, "http_refusals_total", COUNTER, STATUS,                                            \
      "Requests that no workflow saw, by status: refused by the parser, a limit, a deadline. "     \
      "Statuses that did not occur have no line.",                                                 \
      m->stats->refusals[m->refusal])                                                              \
    X(timeouts, "http_timeouts_total", COUNTER, LISTENER,                                          \
      "Heads, bodies and sends that were late.", m->stats->timeouts)                               \
    X(cancelled, "http_cancelled_total", COUNTER, LISTENER, "Requests whose client went away.",    \
      m->stats->cancelled)                                                                         \
    X(bytes_in, "http_received_bytes_total", COUNTER, LISTENER, "Bytes of clients.",               \
      m->stats->bytes_in)                                                                          \
    X(bytes_out, "http_sent_bytes_total", COUNTER, LISTENER, "Bytes to clients.",                  \
      m->stats->bytes_out)                                                                         \
    X(latency, "http_request_seconds", HISTOGRAM, LISTENER,                                        \
      "From the head of a request to the end of the turn of the loop in which it was answered.",   \
      0)                                                                                           \
    X(calls, "node_calls_total", COUNTER, NODE, "Packets that reached the node.", m->node->calls)  \
    X(errors, "node_errors_total", COUNTER, NODE, "Failures of the node itself.", m->node->errors) \
    X(codes, "node_errors_by_code_total", COUNTER, CODE,                                           \
      "The same by code; codes that did not occur have no line.", m->code_count)                   \
    X(node_flight, "node_in_flight", GAUGE, NODE,                                                  \
      "Packets that wait in the node: for a timer, a socket, another answer.", m->node->in_flight) \
    X(node_time, "node_seconds", HISTOGRAM, NODE,                                                  \
      "Time on the core of one call. A sample: the first calls of each turn of the loop, and of "  \
      "the others every 64th of a node.",                                                          \
      0)

/* docs/METRICS.md. */
void sl_metrics_doc_write(struct sl_out *out);
