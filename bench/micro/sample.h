/* SPDX-License-Identifier: MIT */
/* What the cases work on: requests, a document, the payload of a request. */
#pragma once

#include "codecs/flat/flat.h"

struct sl_mem;

/* GET /ping as a load generator sends it. */
extern const char SL_SAMPLE_PING[];

/* A page's request as a browser sends it: 11 fields, 600 bytes. */
extern const char SL_SAMPLE_BROWSER[];

/* POST /echo with 169 bytes of JSON. */
extern const char SL_SAMPLE_POST[];

/* The 169 bytes alone, and a list of some tens of them: about 12 KB; static. */
extern const char SL_SAMPLE_JSON[];
const char *sl_sample_json_large(void);

/* The payload of an HTTP request with a decoded body, as JSON. */
extern const char SL_SAMPLE_REQUEST[];

/* Parse one of the JSON texts; one count for the caller. Aborts if that fails. */
struct sl_value sl_sample_value(const char *text, struct sl_mem *mem);
