/* SPDX-License-Identifier: MIT */
/* Kinds that speak with the network. */
#pragma once

#include "core/graph/kind.h"

extern const struct sl_kind sl_kind_listener;
extern const struct sl_kind sl_kind_router;
