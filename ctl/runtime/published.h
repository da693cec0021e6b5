/* SPDX-License-Identifier: MIT */
/*
 * What a runtime says of its last publication, kept beside the registry's log so that other
 * processes can read it without asking the runtime: `apply --wait` and `get nodes`.
 *
 *   {"pid": 4711, "revision": 12, "error": "…", "symbols": [{"id": …, "state": …, "reason": …}]}
 *
 * `error` is there if the revision was refused; `symbols` has those that are not simply active.
 * A namespace has one owner on a host; what a dead owner left is told by its process id.
 *
 * Control threads.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "codecs/flat/flat.h"
#include "core/base/diag.h"

struct sl_loader;
struct sl_registry;

/* The lease under which a runtime owns its namespace; `buf` gets its name. */
void sl_published_lease(const char *name_space, char *buf, size_t buf_size);

/*
 * Tell that a publication ended. `result` 0, or why it was refused with `diag` (may be NULL).
 * returns  0 or -EXXX
 */
int sl_published_put(struct sl_registry *registry, const char *name_space,
                     const struct sl_loader *loader, uint64_t revision, int result,
                     const struct sl_diag *diag);

/*
 * What the living owner of a namespace published last.
 *
 * ret_pid    its process id; 0: no runtime is alive
 * ret_value  the Map above, one count for the caller; cell == NULL: nothing yet
 * returns    0 or -EXXX
 */
int sl_published_get(struct sl_registry *registry, const char *name_space, long *ret_pid,
                     struct sl_value *ret_value);
