/* SPDX-License-Identifier: MIT */
/*
 * Every limit of the engine, in one place. A limit that a user may set has its default here, and
 * its ceiling here too. Relations between limits are asserted at the end.
 */
#pragma once

#include <assert.h>
#include <stdint.h>

enum {
    /* Machine. */
    SL_SHARDS_MAX = 64,
    SL_SHARD_SLICE_NS = 100 * 1000, /* of the processor, what the kernel has least */

    /* Diagnostics. */
    SL_DIAGS_MAX = 1000,

    /* Payload. */
    SL_PAYLOAD_DEPTH_MAX = 128,
    SL_PAYLOAD_CELLS_MAX = 16 * 1024 * 1024,
    SL_PAYLOAD_BYTES_MAX = 256 * 1024 * 1024,
    SL_PAYLOAD_MAP_INDEX_MIN = 16, /* maps with more pairs carry a sorted index */

    /* Specifications. */
    SL_SPEC_NAME_MAX = 255,
    SL_SPEC_PORTS_MAX = 256,   /* indexed ports of one node */
    SL_SPEC_EDGES_MAX = 64,    /* edges of one port */
    SL_SPEC_ENV_MAX = 1024,    /* entries of one `env` */
    SL_SPEC_NODES_MAX = 65536, /* nodes of one program, children of blocks counted */
    SL_SPEC_BLOCK_DEPTH_MAX = 16,
    SL_SPEC_FILE_SIZE_MAX = 64 * 1024 * 1024,
    SL_SPEC_FOLDERS_MAX = 10000,
    SL_YAML_ALIAS_NODES_MAX = 100000, /* nodes made by expanding aliases, a document */
    SL_YAML_ANCHORS_MAX = 1024,       /* a document */

    /* Processes and frames. */
    SL_PROCESS_FRAMES_MAX = 1024,   /* frames alive in one process */
    SL_PROCESS_HOPS_MAX = 1000000,  /* node calls of one process */
    SL_PROCESS_TURN_HOPS_MAX = 256, /* node calls before other processes get their turn */
    SL_PROCESS_CHILDREN_MAX = 1024,
    SL_PROCESS_HOOKS_MAX = 256,
    SL_PROCESS_DEADLINE_MS = 30000, /* default deadline of a process */
    SL_SHARD_PROCESSES_MAX = 65536,

    /* Scripts. */
    SL_SCRIPT_TIMEOUT_MS = 20,           /* default, inline */
    SL_SCRIPT_TIMEOUT_PROCESS_MS = 1000, /* default, worker process */
    SL_SCRIPT_MEMORY = 64 * 1024 * 1024,
    SL_PRINTS_PER_SECOND = 100,  /* messages of scripts that a shard logs */
    SL_PRINTS_WAITING_MAX = 512, /* for the control thread to write them */
    SL_SCRIPT_SOURCE_SIZE_MAX = 4 * 1024 * 1024,

    /* Worker processes of scripts, a shard. */
    SL_WORKERS_ACTIVE_MAX = 4, /* that have run a script */
    SL_WORKERS_SPARE_MAX = 2,  /* started ahead */
    SL_WORKERS_DYING_MAX = 16, /* killed, not gone yet: none is started beyond */
    SL_WORKER_NODE_MAX = 2,    /* workers that one node may keep busy */
    SL_WORKER_QUEUE_MAX = 512, /* calls that wait for a worker */
    SL_WORKER_NODE_QUEUE_MAX = 128,
    SL_WORKER_SCRIPTS_MAX = 64, /* scripts that one worker keeps */
    SL_WORKER_GRACE_MS = 20,    /* after the deadline, or a cancel: then the worker is killed */
    SL_WORKER_LOAD_MS = 2000,   /* making a script in a worker */
    SL_WORKER_TRY_MS = 1000,    /* the same on the control thread, before any shard has it */
    SL_WORKER_TRY_START_MS = 5000,
    SL_WORKER_START_MS = 60000, /* from exec to ready, on a busy machine */
    SL_WORKER_IDLE_MS = 30000,  /* without work: beyond the first they are ended */
    SL_WORKER_RING_SIZE = 256 * 1024,
    SL_WORKER_SLAB_SIZE = 32 * 1024 * 1024,   /* the largest packet to or from a worker, bytes */
    SL_WORKER_LARGE_SIZE = 64 * 1024,         /* larger results are taken at a pace, bytes */
    SL_WORKER_LARGE_PART = 256,               /* for each node one part in so many of the time */
    SL_WORKER_LARGE_BURST_MS = 2000,          /* of pace saved up: 8 ms of work at once */
    SL_WORKER_LARGE_WAIT_MS = 10000,          /* what one result adds at most */
    SL_WORKER_MESSAGES_MAX = 1024,            /* of one call: a worker that sends more is killed */
    SL_WORKER_LOG_SIZE_MAX = 12 * 1024,       /* one message of the log, bytes */
    SL_WORKER_LOG_LINES_MAX = 128,            /* of one call; the rest is dropped */
    SL_WORKER_DATA_EXTRA = 128 * 1024 * 1024, /* RLIMIT_DATA beyond use and cap */
    SL_WORKER_GROWTH_MAX = 32 * 1024 * 1024,  /* resident after a call: it is replaced beyond */
    SL_WORKER_DATA_KEPT_MAX = 64 * 1024 * 1024, /* mapped after a call: the same */
    SL_CEL_DEPTH_MAX = 250,
    SL_CEL_COST_MAX = 10000000,   /* of one run: about one unit a step, or 64 bytes of text */
    SL_CEL_NUMBER_TEXT_MAX = 511, /* bytes of a text that becomes a number or a time */
    SL_CEL_NODES_MAX = 100000,    /* parts of one expression */
    SL_CEL_ZONES_MAX = 1024,      /* time zones kept, a process */
    SL_CEL_PROGRAM_SIZE_MAX = 256 * 1024 * 1024,

    /* HTTP. */
    SL_HTTP_HEAD_SIZE_MAX = 16 * 1024, /* default: request line and headers, bytes */
    SL_HTTP_HEADERS_MAX = 128,
    SL_HTTP_BODY_SIZE_MAX = 1024 * 1024,  /* default, bytes */
    SL_HTTP_CHUNK_LINE_SIZE_MAX = 256,    /* chunk size and extensions, bytes */
    SL_HTTP_TRAILERS_SIZE_MAX = 8 * 1024, /* all trailers of one body, bytes */
    SL_HTTP_CONNECTIONS_MAX = 65536,      /* a shard */
    SL_HTTP_PIPELINE_MAX = 64,            /* requests in flight on one connection */
    SL_HTTP_PAIRS_MAX = 1024,             /* of a query or a form; parts of a multipart body */
    SL_HTTP_LISTENERS_MAX = 4,            /* listening sockets of one server */
    SL_HTTP_REQUEST_ID_MAX = 128,         /* bytes of an X-Request-Id that is taken over */
    SL_HTTP_TIMEOUT_IDLE_MS = 60000,
    SL_HTTP_TIMEOUT_HEADER_MS = 10000,
    SL_HTTP_TIMEOUT_BODY_MS = 30000,
    SL_HTTP_TIMEOUT_SEND_MS = 60000,
    SL_HTTP_TIMEOUT_CONNECT_MS = 5000,
    SL_HTTP_CLIENT_CONNECTIONS_MAX = 1024,           /* of one target and shard */
    SL_HTTP_CLIENT_KEPT_MAX = 64,                    /* of these, without work */
    SL_HTTP_CLIENT_WAITING_MAX = 4096,               /* requests that wait for a connection */
    SL_HTTP_CLIENT_BODY_SIZE_MAX = 16 * 1024 * 1024, /* default, of a response, bytes */
    SL_HTTP_CLIENT_HEAD_SIZE_MAX = 64 * 1024,        /* of a request, bytes */
    SL_HTTP_CLIENT_COPY_MAX = 4096,                  /* a body so small is sent with the head */
    SL_HTTP_CLIENT_INTERIMS_MAX = 16,                /* 1xx before one answer */
    SL_HTTP_CLIENT_RETRIES = 1,                      /* default */
    SL_HTTP_CLIENT_RETRIES_MAX = 10,
    SL_NAME_ADDRS_MAX = 8,                 /* addresses of one host name */
    SL_NAME_REFRESH_MS = 30000,            /* a name in use is looked up again */
    SL_NAME_RETRY_MS = 1000,               /* after a lookup that failed */
    SL_HTTP_LINGER_MS = 2000,              /* reading on after a half-close */
    SL_HTTP_LINGER_SIZE_MAX = 1024 * 1024, /* bytes thrown away meanwhile */

    /* Pollers. */
    SL_POLLER_OPS_MAX = 1024 * 1024, /* pending operations of one poller */
    SL_POLLER_ENTRIES_MAX = 32768,   /* submission queue; the kernel's own limit */
    SL_POLLER_BUFS_MAX = 32768,      /* receive buffers; the kernel's own limit */
    SL_POLLER_BUF_SIZE_MAX = 1024 * 1024,
    SL_POLLER_BATCH_MAX = 65536, /* completions of one turn */
    SL_POLLER_SPIN_US_MAX = 1000000,
    SL_POLLER_BACKLOG_MAX = 65535,
    SL_POLLER_ACCEPT_PAUSE_MS = 10, /* accept again after EMFILE */

    /* Rings. */
    SL_RING_SIZE = 1024 * 1024, /* bytes, between two shards */
    SL_RING_SIZE_MAX = 64 * 1024 * 1024,
    SL_RING_RECORD_SIZE_MAX = 64 * 1024,  /* larger packets go through the slab */
    SL_RING_SLAB_SIZE = 64 * 1024 * 1024, /* default; touched only as far as it is used */
    SL_RING_SLAB_SIZE_MAX = 1024 * 1024 * 1024,
    SL_RING_SLAB_UNITS_MAX = 1024,
    SL_RING_SLAB_UNIT_MIN = 4096, /* bytes */
    SL_PACKET_SIZE_MAX = 64 * 1024 * 1024,

    /* Registry. */
    SL_REGISTRY_HISTORY_REVISIONS = 10000,
    SL_REGISTRY_SPEC_SIZE_MAX = 8 * 1024 * 1024,
    SL_REGISTRY_QUEUE_MAX = 1024, /* operations waiting for the control thread */
    SL_REGISTRY_HISTORY_DAYS = 30,
    SL_REGISTRY_NAMESPACE_MAX = 127, /* bytes; with a name it must fit a key of the store */
    SL_REGISTRY_CHANGES_MAX = 65536, /* changes of one change set */
    SL_REGISTRY_WATCHERS_MAX = 4096, /* watches of one registry, all processes */
    SL_REGISTRY_WATCH_TICK_MS = 500, /* slow poll behind the doorbell */

    /* Key-value store. */
    SL_KV_READERS_MAX = 1024, /* reader slots, all processes */

    /* Control socket. */
    SL_SOCKET_PATH_MAX = 107,  /* bytes without the zero byte: sockaddr_un */
    SL_ADMIN_COLLECT_MS = 250, /* how long shards are waited for */
    SL_ADMIN_NODES_MAX = 200,  /* nodes with metrics of their own; the rest is "others" */

    /* Traces. */
    SL_TRACE_SLOTS = 16,                        /* requests of a shard that are traced at once */
    SL_TRACE_TEXT_SIZE = 64 * 1024,             /* of one request on one shard, bytes */
    SL_TRACE_PAYLOAD_SIZE = 1024,               /* default: shown of each payload, bytes */
    SL_TRACE_PAYLOAD_SIZE_MAX = 16 * 1024,      /* bytes */
    SL_TRACE_COUNT_MAX = 1000000,               /* requests of one call */
    SL_TRACE_PARTS_MAX = 256,                   /* parts of other shards that wait for theirs */
    SL_TRACE_UNREAD_SIZE_MAX = 4 * 1024 * 1024, /* bytes a reader may be behind */
    SL_TRACE_TIMEOUT_MS = 60000,                /* default */
    SL_TRACE_WHEN_TIMEOUT_MS = 5,               /* of one evaluation of --when */
};

/* Address space of the key-value store's map, bytes: at first, and where halving, doubling end. */
#define SL_KV_MAP_SIZE     (UINT64_C(64) << 30)
#define SL_KV_MAP_SIZE_MIN (UINT64_C(1) << 20)
#define SL_KV_MAP_SIZE_MAX (UINT64_C(1) << 46)

static_assert(SL_HTTP_CHUNK_LINE_SIZE_MAX < SL_HTTP_HEAD_SIZE_MAX,
              "a chunk line fits the head buffer");
static_assert(SL_RING_RECORD_SIZE_MAX * 4 <= SL_RING_SIZE, "a ring holds several records");
static_assert(SL_PACKET_SIZE_MAX <= SL_RING_SLAB_SIZE, "the largest packet fits the slab");
static_assert(SL_WORKER_SLAB_SIZE <= SL_PACKET_SIZE_MAX, "a worker's packet is a packet");
static_assert(SL_WORKER_NODE_MAX < SL_WORKERS_ACTIVE_MAX, "one node leaves workers to others");
static_assert(SL_HTTP_BODY_SIZE_MAX <= SL_PAYLOAD_BYTES_MAX, "a body fits a payload");
