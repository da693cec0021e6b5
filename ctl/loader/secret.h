/* SPDX-License-Identifier: MIT */
/* The texts that a secret may be seen as, for whoever has to hide it. Control thread. */
#pragma once

#include "codecs/flat/flat.h"

/*
 * Append to an open List every text of `value` (in a map the values, not the keys; numbers as JSON
 * writes them; null and booleans hide nothing), and of those that are long enough to be looked for
 * inside other texts also how JSON, a URL and Base64 would write them. Errors stick in the builder.
 */
void loader_secret_texts(struct sl_builder *builder, struct sl_value value);
