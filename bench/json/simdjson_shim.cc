/* SPDX-License-Identifier: MIT */
/* simdjson's DOM behind C calls: one parser, used again for each text, as its manual asks. */
#include <cstdint>
#include <simdjson.h>

extern "C" {
void *simdjson_shim_new();
void simdjson_shim_free(void *shim);
int simdjson_shim_parse(void *shim, const uint8_t *data, size_t size, size_t cap);
size_t simdjson_shim_write(void *shim);
const char *simdjson_shim_name();
}

namespace
{
struct simdjson_shim {
    simdjson::dom::parser parser;
    simdjson::dom::element root; /* of the last text */
    simdjson::internal::string_builder<> builder;
};
} /* namespace */

void *simdjson_shim_new()
{
    return new simdjson_shim;
}

void simdjson_shim_free(void *shim)
{
    delete static_cast<simdjson_shim *>(shim);
}

/* The text stands in `cap` bytes, with the padding simdjson wants, so nothing is copied. */
int simdjson_shim_parse(void *shim, const uint8_t *data, size_t size, size_t cap)
{
    auto *self = static_cast<simdjson_shim *>(shim);
    if (cap - size < simdjson::SIMDJSON_PADDING) return -1;
    return self->parser.parse(data, size, false).get(self->root) == simdjson::SUCCESS ? 0 : -1;
}

/* Write the last text that was parsed, compact; the bytes of it. */
size_t simdjson_shim_write(void *shim)
{
    auto *self = static_cast<simdjson_shim *>(shim);
    self->builder.clear();
    self->builder.append(self->root);
    return self->builder.str().size();
}

const char *simdjson_shim_name()
{
    static const std::string name = simdjson::get_active_implementation()->name();
    return name.c_str();
}
