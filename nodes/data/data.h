/* SPDX-License-Identifier: MIT */
/* Kinds that make values of values. */
#pragma once

#include "core/graph/kind.h"

extern const struct sl_kind sl_kind_snippet;
