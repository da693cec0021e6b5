/* SPDX-License-Identifier: MIT */
/*
 * The operations behind `native`: nodes.create read update delete, secrets.create read update
 * delete. Each takes one document or a list, and answers with the list of what it touched.
 *
 *   create   stores; a name or id that is taken is a `conflict`; null is an unsupported value
 *   read     documents that match one of the given examples; null: all
 *   update   a merge patch (RFC 7396) of what `id`, or `namespace` and `name`, finds
 *   delete   removes what matches one of the examples; null: all, but not in the namespace of the
 *            workflow that calls (a workflow does not delete itself)
 *
 * What is named (by `id`, or `name`) for update or delete and is not there is the error `not_found`
 * (404, `unsupported value` in its chain) with the nearest name, and nothing of the list is done. An
 * example of delete that names nobody may match nothing.
 *
 * All namespaces are reached; a document without one is in `default`. Secrets show metadata only.
 */
#pragma once

struct sl_registry;

/* Register all operations; the registry is set later. Before threads start; again is harmless. */
void sl_ops_register(void);

/* The registry they work on from now on, or NULL: then they answer `unavailable`. Control thread. */
void sl_ops_set_registry(struct sl_registry *registry);
