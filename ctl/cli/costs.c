/* SPDX-License-Identifier: MIT */
#include "ctl/cli/costs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "ctl/cli/table.h"

void cli_costs_add(struct cli_costs *costs, const struct sl_compile *c, struct sl_value code,
                   const struct sl_script_cost *cost)
{
    sl_assert(costs != NULL);
    sl_assert(c != NULL);
    sl_assert(cost != NULL);
    struct cli_cost *items = realloc(costs->items, (costs->count + 1) * sizeof(*items));
    if (items == NULL) return;
    costs->items = items;
    uint32_t indent;
    struct sl_pos pos =
        c->locate != NULL ? c->locate(c->locate_ctx, code, &indent) : sl_value_pos(code);
    struct cli_cost own = {strdup(c->name), strdup(c->file), pos, *cost};
    if (own.node == NULL || own.file == NULL) {
        free(own.node);
        free(own.file);
        return;
    }
    items[costs->count++] = own;
}

static bool is_bounded(const struct sl_script_cost *cost)
{
    return cost->bound < cost->limit;
}

/* Why there is no bound; empty if there is one, or if the bound is beyond the limit. */
static void reason_print(const struct sl_script_cost *cost, char *buf, size_t size)
{
    buf[0] = '\0';
    if (is_bounded(cost)) return;
    if (cost->name[0] == '\0') {
        (void)snprintf(buf, size, "more than the limit");
        return;
    }
    int used = snprintf(buf, size, "\"%s\" depends on the size of its input", cost->name);
    if (cost->pos.line > 0 && used > 0 && (size_t)used < size) {
        (void)snprintf(buf + used, size - (size_t)used, " (%u:%u)", cost->pos.line,
                       cost->pos.column);
    }
}

void cli_costs_print(const struct cli_costs *costs, FILE *out)
{
    sl_assert(costs != NULL);
    sl_assert(out != NULL);
    struct cli_table table;
    if (costs->count == 0) return;
    cli_table_init(&table, 5, (const char *const[]){"NODE", "CODE AT", "COST", "LIMIT", ""});
    for (size_t i = 0; i < costs->count; i++) {
        const struct cli_cost *item = &costs->items[i];
        char place[512];
        char bound[32] = "unbounded";
        char limit[32];
        char reason[160];
        (void)snprintf(place, sizeof(place), "%s:%u:%u", item->file, item->pos.line,
                       item->pos.column);
        if (is_bounded(&item->cost)) {
            (void)snprintf(bound, sizeof(bound), "%" PRIu64, item->cost.bound);
        }
        (void)snprintf(limit, sizeof(limit), "%" PRIu64, item->cost.limit);
        reason_print(&item->cost, reason, sizeof(reason));
        cli_table_add(&table, (const char *const[]){item->node, place, bound, limit, reason});
    }
    cli_table_print(&table, out);
    cli_table_fini(&table);
}

static void cost_build(const struct cli_cost *item, struct sl_builder *b)
{
    const struct sl_script_cost *cost = &item->cost;
    sl_build_map_begin(b);
    sl_build_key_str(b, "node");
    sl_build_string_str(b, item->node);
    sl_build_key_str(b, "file");
    sl_build_string_str(b, item->file);
    sl_build_key_str(b, "line");
    sl_build_int(b, item->pos.line);
    sl_build_key_str(b, "column");
    sl_build_int(b, item->pos.column);
    sl_build_key_str(b, "bound");
    if (is_bounded(cost)) {
        sl_build_int(b, (int64_t)cost->bound);
    } else {
        sl_build_null(b);
    }
    sl_build_key_str(b, "limit");
    sl_build_int(b, (int64_t)cost->limit);
    if (cost->name[0] != '\0') {
        sl_build_key_str(b, "depends");
        sl_build_map_begin(b);
        sl_build_key_str(b, "on");
        sl_build_string_str(b, cost->name);
        sl_build_key_str(b, "line");
        sl_build_int(b, cost->pos.line);
        sl_build_key_str(b, "column");
        sl_build_int(b, cost->pos.column);
        sl_build_map_end(b);
    }
    sl_build_map_end(b);
}

void cli_costs_build(const struct cli_costs *costs, struct sl_builder *b)
{
    sl_assert(costs != NULL);
    sl_assert(b != NULL);
    sl_build_key_str(b, "costs");
    sl_build_list_begin(b);
    for (size_t i = 0; i < costs->count; i++) cost_build(&costs->items[i], b);
    sl_build_list_end(b);
}

void cli_costs_fini(struct cli_costs *costs)
{
    for (size_t i = 0; i < costs->count; i++) {
        free(costs->items[i].node);
        free(costs->items[i].file);
    }
    free(costs->items);
    *costs = (struct cli_costs){0};
}
