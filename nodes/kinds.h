/* SPDX-License-Identifier: MIT */
/* The table of everything a workflow author can use. */
#pragma once

/*
 * Register all node kinds and languages that were built in. Once, before threads start; a second
 * call is harmless.
 */
void sl_kinds_register(void);

struct sl_shard;

/* Free what kinds and languages keep on a shard; for sl_shard_config.ended. */
void sl_kinds_shard_fini(struct sl_shard *shard);
