/* SPDX-License-Identifier: MIT */
/* simdjson's DOM parser behind a C call: one parser, used again for each text, as its manual asks. */
#include <cstdint>
#include <simdjson.h>

extern "C" {
void *simdjson_shim_new();
void simdjson_shim_free(void *shim);
int simdjson_shim_parse(void *shim, const uint8_t *data, size_t size, size_t cap);
const char *simdjson_shim_name();
}

void *simdjson_shim_new()
{
    return new simdjson::dom::parser;
}

void simdjson_shim_free(void *shim)
{
    delete static_cast<simdjson::dom::parser *>(shim);
}

/* The text stands in `cap` bytes, with the padding simdjson wants, so nothing is copied. */
int simdjson_shim_parse(void *shim, const uint8_t *data, size_t size, size_t cap)
{
    auto *parser = static_cast<simdjson::dom::parser *>(shim);
    if (cap - size < simdjson::SIMDJSON_PADDING) return -1;
    simdjson::dom::element element;
    return parser->parse(data, size, false).get(element) == simdjson::SUCCESS ? 0 : -1;
}

const char *simdjson_shim_name()
{
    static const std::string name = simdjson::get_active_implementation()->name();
    return name.c_str();
}
