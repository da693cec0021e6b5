/* SPDX-License-Identifier: MIT */
/* Names of ports, and the field `ports` of a spec. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/base/limit.h"
#include "core/spec/decode.h"

static const char *const edge_fields[] = {"id", "name", "port"};

/* "[12]" → 12. */
static int index_parse(struct sl_slice text, uint32_t *ret_index)
{
    sl_assert(ret_index != NULL);
    uint32_t index = 0;
    if (text.size < 3 || text.data[0] != '[' || text.data[text.size - 1] != ']') return -EINVAL;
    if (text.size > 3 && text.data[1] == '0') return -EINVAL;
    for (size_t i = 1; i + 1 < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') return -EINVAL;
        if (index < SL_SPEC_PORTS_MAX) index = index * 10 + (uint32_t)(text.data[i] - '0');
    }
    if (index >= SL_SPEC_PORTS_MAX) return -ERANGE;
    *ret_index = index;
    return 0;
}

int sl_spec_port_parse(struct sl_slice name, enum sl_port_kind *ret_kind, uint32_t *ret_index)
{
    static const struct {
        const char *name;
        enum sl_port_kind kind;
        bool indexed;
    } ports[] = {
        {"in", SL_PORT_KIND_IN, true},
        {"out", SL_PORT_KIND_OUT, true},
        {"error", SL_PORT_KIND_ERROR, false},
        {"io", SL_PORT_KIND_IO, false},
    };
    sl_assert(ret_kind != NULL);
    sl_assert(ret_index != NULL);
    for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
        struct sl_slice word = sl_slice_from_str(ports[i].name);
        uint32_t index = 0;
        if (!sl_slice_has_prefix(name, word)) continue;
        struct sl_slice rest = sl_slice_make(name.data + word.size, name.size - word.size);
        if (rest.size > 0 && !ports[i].indexed) continue;
        int result = rest.size > 0 ? index_parse(rest, &index) : 0;
        if (result == -EINVAL) continue;
        if (result < 0) return result;
        *ret_kind = ports[i].kind;
        *ret_index = index;
        return 0;
    }
    return -EINVAL;
}

/* Parse a port's name and report what is wrong with it. */
static bool port_name_decode(struct spec_decode *decode, struct sl_slice name, struct sl_pos pos,
                             bool output, enum sl_port_kind *ret_kind, uint32_t *ret_index)
{
    sl_assert(ret_kind != NULL);
    sl_assert(ret_index != NULL);
    static const char *const outputs[] = {"out", "error"};
    static const char *const inputs[] = {"in", "io"};
    int result = sl_spec_port_parse(name, ret_kind, ret_index);
    if (result == -ERANGE) {
        (void)spec_error(decode, "port_range", pos, "port \"%.*s\": numbers end at %d", SHOWN(name),
                         SL_SPEC_PORTS_MAX - 1);
        return false;
    }
    bool is_output = *ret_kind == SL_PORT_KIND_OUT || *ret_kind == SL_PORT_KIND_ERROR;
    if (result == 0 && is_output == output) return true;
    struct sl_diag *diag;
    if (result == 0 && output) {
        diag = spec_error(decode, "wrong_port", pos,
                          "\"%.*s\" is an input; \"ports\" lists outputs: out, out[0] …, error",
                          SHOWN(name));
        sl_diag_hint(diag, "write the edge at the node that sends");
    } else if (result == 0) {
        diag = spec_error(decode, "wrong_port", pos,
                          "\"%.*s\" is an output; an edge ends at an input: in, in[0] …, io",
                          SHOWN(name));
    } else {
        diag = spec_error(decode, "unknown_port", pos, "unknown port \"%.*s\", expected %s",
                          SHOWN(name), output ? "out, out[0] … or error" : "in, in[0] … or io");
        sl_spec_hint_nearest(diag, name, output ? outputs : inputs, 2);
    }
    return false;
}

/* A field that nobody knows was probably meant to be `wanted`: that was told. */
static bool is_misspelt(struct sl_value edge, const char *wanted)
{
    for (uint32_t i = 0; i < sl_value_count(edge); i++) {
        char text[SL_SPEC_NAME_MAX + 1];
        (void)snprintf(text, sizeof(text), "%.*s", SHOWN(sl_value_key_at(edge, i)));
        const char *nearest = sl_diag_nearest(text, edge_fields, 3);
        if (nearest == NULL || strcmp(nearest, wanted) != 0) continue;
        if (strcmp(text, wanted) != 0) return true;
    }
    return false;
}

static bool edge_decode(struct spec_decode *decode, struct sl_value value,
                        struct sl_spec_edge *edge)
{
    sl_assert(edge != NULL);
    sl_assert(!sl_value_is_none(value));
    size_t errors_before = decode->diags->errors_count;
    edge->pos = sl_value_pos(value);
    if (!sl_value_is(value, SL_VALUE_MAP)) {
        struct sl_diag *diag =
            spec_error(decode, "wrong_type", edge->pos,
                       "an edge must be a map with \"name\" or \"id\", and \"port\", not %s",
                       sl_spec_kind_text(value));
        if (sl_value_is(value, SL_VALUE_STRING)) {
            struct sl_slice name = sl_value_slice(value);
            sl_diag_hint(diag, "{name: %.*s, port: in}", SHOWN(name));
        }
        return false;
    }
    spec_fields_check(decode, value, edge_fields, 3, "an edge");
    struct sl_value name = sl_value_get_str(value, "name");
    struct sl_value id = sl_value_get_str(value, "id");
    struct sl_value port = sl_value_get_str(value, "port");
    spec_name_decode(decode, name, "name", &edge->name);
    spec_id_decode(decode, id, &edge->id);
    if (sl_value_is_none(name) && sl_value_is_none(id)) {
        if (!is_misspelt(value, "name"))
            (void)spec_error(decode, "missing_field", edge->pos,
                             "an edge needs \"name\" or \"id\"");
    } else {
        edge->node_pos = sl_value_pos(sl_value_is_none(id) ? name : id);
    }
    if (sl_value_is_none(port) && is_misspelt(value, "port")) {
        edge->port_kind = SL_PORT_KIND_IO;
    } else if (sl_value_is_none(port)) {
        struct sl_diag *diag =
            spec_error(decode, "missing_field", edge->pos, "an edge needs \"port\"");
        sl_diag_hint(diag, "port: in");
    } else if (spec_name_decode(decode, port, "port", &edge->port)) {
        edge->port_pos = sl_value_pos(port);
        (void)port_name_decode(decode, edge->port, edge->port_pos, false, &edge->port_kind,
                               &edge->port_index);
    }
    /* Nobody looks for an input that is told already. */
    if (decode->diags->errors_count > errors_before) edge->port_kind = SL_PORT_KIND_IO;
    return decode->diags->errors_count == errors_before;
}

/* Edges of one port: a list, or a single edge. */
static uint32_t edges_count(struct sl_value value)
{
    return sl_value_is(value, SL_VALUE_LIST) ? sl_value_count(value) : 1;
}

static void edges_decode(struct spec_decode *decode, struct sl_value value,
                         struct sl_spec_port *port, struct sl_spec_edge *edges)
{
    sl_assert(port != NULL);
    sl_assert(edges != NULL);
    uint32_t count = edges_count(value);
    port->edges = edges;
    port->edges_count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct sl_value edge =
            sl_value_is(value, SL_VALUE_LIST) ? sl_value_list_at(value, i) : value;
        (void)edge_decode(decode, edge, &edges[i]);
    }
}

/* The same port under two names, such as out and out[0]. */
static void port_twice_check(struct spec_decode *decode, const struct sl_spec *spec, uint32_t at)
{
    sl_assert(at <= spec->ports_count);
    const struct sl_spec_port *port = &spec->ports[at];
    for (uint32_t i = 0; i < at; i++) {
        const struct sl_spec_port *other = &spec->ports[i];
        if (other->kind != port->kind || other->index != port->index) continue;
        (void)spec_error(decode, "duplicate_port", port->pos,
                         "\"%.*s\" is the same port as \"%.*s\" at line %u", SHOWN(port->name),
                         SHOWN(other->name), other->pos.line);
        return;
    }
}

/* True if the ports can be decoded: shape and limits. Counts the edges. */
static bool ports_measure(struct spec_decode *decode, struct sl_value ports, uint32_t *ret_edges)
{
    sl_assert(ret_edges != NULL);
    uint32_t total = 0;
    if (!sl_value_is(ports, SL_VALUE_MAP)) {
        (void)spec_error(decode, "wrong_type", sl_value_pos(ports),
                         "\"ports\" must be a map from output ports to edges, not %s",
                         sl_spec_kind_text(ports));
        return false;
    }
    if (sl_value_count(ports) > SL_SPEC_PORTS_MAX) {
        (void)spec_error(decode, "too_many", sl_value_pos(ports), "%u ports, at most %d",
                         sl_value_count(ports), SL_SPEC_PORTS_MAX);
        return false;
    }
    for (uint32_t i = 0; i < sl_value_count(ports); i++) {
        uint32_t count = edges_count(sl_value_map_at(ports, i));
        if (count > SL_SPEC_EDGES_MAX) {
            (void)spec_error(decode, "too_many", sl_value_key_pos(ports, i),
                             "%u edges at one port, at most %d", count, SL_SPEC_EDGES_MAX);
            return false;
        }
        total += count;
    }
    *ret_edges = total;
    return true;
}

int spec_ports_decode(struct spec_decode *decode, struct sl_value ports)
{
    sl_assert(decode->spec != NULL);
    sl_assert(decode->spec->ports == NULL);
    struct sl_spec *spec = decode->spec;
    uint32_t edges = 0;
    if (sl_value_is_none(ports) || !ports_measure(decode, ports, &edges)) return 0;
    uint32_t count = sl_value_count(ports);
    spec->ports = calloc(count ? count : 1, sizeof(*spec->ports));
    spec->edges = calloc(edges ? edges : 1, sizeof(*spec->edges));
    if (spec->ports == NULL || spec->edges == NULL) return -ENOMEM;
    spec->edges_count = edges;
    edges = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct sl_spec_port *port = &spec->ports[spec->ports_count];
        struct sl_value value = sl_value_map_at(ports, i);
        port->name = sl_value_key_at(ports, i);
        port->pos = sl_value_key_pos(ports, i);
        if (port_name_decode(decode, port->name, port->pos, true, &port->kind, &port->index)) {
            port_twice_check(decode, spec, spec->ports_count);
            spec->ports_count++;
        }
        edges_decode(decode, value, port, spec->edges + edges);
        edges += port->edges_count;
    }
    return 0;
}
