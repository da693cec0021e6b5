/* SPDX-License-Identifier: MIT */
#include "ctl/cli/edges.h"

#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/graph/kind.h"

/* A node that an edge may lead to. */
struct place {
    struct sl_slice name_space;
    struct sl_slice name;
    struct sl_slice id;
    struct sl_value value; /* the spec */
    struct sl_slice kind;
};

struct places {
    struct place *items; /* array of count */
    size_t count;
};

static struct sl_slice space_of(const struct cli_edges *edges, const struct sl_spec *spec)
{
    return spec->name_space.size > 0 ? spec->name_space : sl_slice_from_str(edges->name_space);
}

static bool is_given(const struct places *places, const struct place *one)
{
    for (size_t i = 0; i < places->count; i++) {
        const struct place *place = &places->items[i];
        if (!sl_slice_eq(place->name_space, one->name_space)) continue;
        if (one->name.size > 0 && sl_slice_eq(place->name, one->name)) return true;
        if (place->id.size > 0 && sl_slice_eq(place->id, one->id)) return true;
    }
    return false;
}

/* Specs of the files first; what is stored counts where no file says otherwise. */
static struct places places_collect(const struct cli_edges *edges)
{
    size_t known = edges->known != NULL ? edges->known->count : 0;
    struct places places = {calloc(edges->specs->count + known + 1, sizeof(struct place)), 0};
    sl_assert(places.items != NULL);
    for (size_t i = 0; i < edges->specs->count; i++) {
        const struct sl_spec *spec = edges->specs->items[i].spec;
        places.items[places.count++] =
            (struct place){space_of(edges, spec), spec->name, spec->id, spec->value, spec->kind};
    }
    for (size_t i = 0; i < known; i++) {
        const struct sl_object *object = edges->known->items[i];
        struct place place = {sl_slice_from_str(object->namespace), sl_slice_from_str(object->name),
                              sl_slice_from_str(object->id), object->document,
                              sl_slice_from_str(object->kind)};
        if (!is_given(&places, &place)) places.items[places.count++] = place;
    }
    return places;
}

static const struct place *place_find(const struct places *places, struct sl_slice name_space,
                                      const struct sl_spec_edge *edge)
{
    for (size_t i = 0; i < places->count; i++) {
        const struct place *place = &places->items[i];
        if (!sl_slice_eq(place->name_space, name_space)) continue;
        if (edge->id.size > 0 ? sl_slice_eq_nocase(place->id, edge->id)
                              : sl_slice_eq(place->name, edge->name)) {
            return place;
        }
    }
    return NULL;
}

static struct sl_diag *say(const struct sl_spec *spec, enum sl_diag_level level,
                           struct sl_diags *diags, const struct sl_diag *what)
{
    struct sl_diag diag = *what;
    diag.level = level;
    sl_diag_file(&diag, spec->file);
    return sl_diags_push(diags, &diag);
}

static void hint_names(const struct places *places, struct sl_slice name_space,
                       struct sl_slice wanted, struct sl_diag *diag)
{
    const char **names = calloc(places->count + 1, sizeof(*names));
    size_t count = 0;
    sl_assert(names != NULL);
    for (size_t i = 0; i < places->count; i++) {
        const struct place *place = &places->items[i];
        if (place->name.size == 0 || !sl_slice_eq(place->name_space, name_space)) continue;
        names[count++] = sl_slice_dup_str(place->name);
    }
    sl_spec_hint_nearest(diag, wanted, names, count);
    for (size_t i = 0; i < count; i++) free((void *)(uintptr_t)names[i]);
    free(names);
}

/* Inputs of a block that draws its own graph. */
static bool block_has_in(struct sl_value inbounds, uint32_t index)
{
    for (uint32_t i = 0; i < sl_value_count(inbounds); i++) {
        uint32_t port;
        if (sl_port_parse_in(sl_value_key_at(inbounds, i), &port) == 0 && port == index)
            return true;
    }
    return false;
}

static bool place_has_in(const struct place *place, uint32_t index)
{
    char *name = sl_slice_dup_str(place->kind);
    const struct sl_kind *kind = name != NULL ? sl_kind_get(name) : NULL;
    free(name);
    if (kind == NULL) return true; /* told already */
    if (!(kind->flags & SL_KIND_CONTAINER)) return index < kind->ins_max;
    struct sl_value inbounds = sl_value_get_str(place->value, "inbounds");
    struct sl_value outbounds = sl_value_get_str(place->value, "outbounds");
    if (sl_value_is_none(inbounds) && sl_value_is_none(outbounds)) return index == 0;
    return sl_value_is(inbounds, SL_VALUE_MAP) && block_has_in(inbounds, index);
}

static void edge_check(const struct cli_edges *edges, const struct places *places,
                       const struct sl_spec *spec, const struct sl_spec_edge *edge,
                       struct sl_diags *diags)
{
    struct sl_slice wanted = edge->id.size > 0 ? edge->id : edge->name;
    if (wanted.size == 0) return; /* told already */
    struct sl_slice space = space_of(edges, spec);
    struct sl_diag diag = {0};
    const struct place *place = place_find(places, space, edge);
    if (place == NULL && edges->unnamed) return; /* it may be what could not be read */
    if (place == NULL) {
        (void)sl_diag_set(&diag, "dangling_edge", edge->node_pos,
                          "there is no node \"%.*s\" in namespace \"%.*s\"", SL_SLICE_FMT(wanted),
                          SL_SLICE_FMT(space));
        struct sl_diag *stored = say(spec, edges->level, diags, &diag);
        if (stored != NULL && edge->id.size == 0) hint_names(places, space, wanted, stored);
        return;
    }
    if (edge->port_kind != SL_PORT_KIND_IN || place_has_in(place, edge->port_index)) return;
    (void)sl_diag_set(&diag, "unknown_port", edge->port_pos,
                      "node \"%.*s\" (%.*s) has no port in[%u]", SL_SLICE_FMT(wanted),
                      SL_SLICE_FMT(place->kind), edge->port_index);
    (void)say(spec, edges->level, diags, &diag);
}

static bool port_has_edge(const struct sl_spec *spec, uint32_t number)
{
    for (uint32_t i = 0; i < spec->ports_count; i++) {
        const struct sl_spec_port *port = &spec->ports[i];
        bool same = number == SL_PORT_ERROR
                        ? port->kind == SL_PORT_KIND_ERROR
                        : port->kind == SL_PORT_KIND_OUT && port->index == number;
        if (same && port->edges_count > 0) return true;
    }
    return false;
}

/* `routes` and `matches` name ports: one without an edge answers with no_route. */
static void routes_check(const struct sl_spec *spec, const char *field, struct sl_diags *diags)
{
    struct sl_value list = sl_value_get_str(spec->value, field);
    if (sl_value_is_none(list) || !sl_value_is(list, SL_VALUE_LIST)) return;
    for (uint32_t i = 0; i < sl_value_count(list); i++) {
        struct sl_value one = sl_value_list_at(list, i);
        if (!sl_value_is(one, SL_VALUE_MAP)) continue;
        struct sl_value port = sl_value_get_str(one, "port");
        uint32_t number;
        if (sl_value_is_none(port) || !sl_value_is(port, SL_VALUE_STRING)) continue;
        if (sl_port_parse_out(sl_value_slice(port), &number) < 0) continue;
        if (port_has_edge(spec, number)) continue;
        struct sl_diag diag = {0};
        (void)sl_diag_set(&diag, "no_edge", sl_value_pos(port),
                          "port \"%.*s\" has no edge: what is sent there is answered with no_route",
                          SL_SLICE_FMT(sl_value_slice(port)));
        (void)say(spec, SL_DIAG_WARNING, diags, &diag);
    }
}

void cli_edges_check(const struct cli_edges *edges, struct sl_diags *diags)
{
    sl_assert(edges != NULL);
    sl_assert(edges->specs != NULL);
    struct places places = places_collect(edges);
    for (size_t i = 0; i < edges->specs->count; i++) {
        const struct sl_spec *spec = edges->specs->items[i].spec;
        for (uint32_t e = 0; e < spec->edges_count; e++) {
            edge_check(edges, &places, spec, &spec->edges[e], diags);
        }
        if (spec->broken) continue; /* an edge may be among what has mistakes */
        routes_check(spec, "routes", diags);
        routes_check(spec, "matches", diags);
    }
    free(places.items);
}
