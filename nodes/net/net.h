/* SPDX-License-Identifier: MIT */
/* Kinds that speak with the network. */
#pragma once

#include "core/graph/kind.h"

struct sl_shard;

extern const struct sl_kind sl_kind_http;
extern const struct sl_kind sl_kind_listener;
extern const struct sl_kind sl_kind_router;

/*
 * Close the connections that nodes of a shard have kept to other servers. The last thing on its
 * thread but for the end of the loop, which turns meanwhile; no program is left.
 */
void sl_net_shard_fini(struct sl_shard *shard);
