/* SPDX-License-Identifier: MIT */
/* Kinds that decide where packets go. */
#pragma once

#include "core/graph/kind.h"

extern const struct sl_kind sl_kind_block;
extern const struct sl_kind sl_kind_switch;
