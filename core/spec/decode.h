/* SPDX-License-Identifier: MIT */
/* What the files of this folder share while a spec is decoded. Inside this folder only. */
#pragma once

#include "core/base/diag.h"
#include "core/spec/spec.h"

struct spec_decode {
    struct sl_spec *spec; /* being filled */
    const char *file;
    struct sl_diags *diags;
};

enum { SPEC_SHOWN_MAX = 64 };

/* For "%.*s": at most SPEC_SHOWN_MAX bytes of a slice. */
#define SHOWN(slice)                                                                               \
    (int)((slice).size < SPEC_SHOWN_MAX ? (slice).size : SPEC_SHOWN_MAX), (const char *)(slice).data

#define spec_error(decode, code, pos, ...)                                                         \
    sl_spec_error((decode)->file, (decode)->diags, code, pos, __VA_ARGS__)

/* Report each key of `map` that is not among `names`, an array of `count`. */
void spec_fields_check(struct spec_decode *decode, struct sl_value map, const char *const *names,
                       size_t count, const char *where);

/* A string of 1..SL_SPEC_NAME_MAX printable bytes; absent is fine and leaves `*ret`. */
bool spec_name_decode(struct spec_decode *decode, struct sl_value value, const char *field,
                      struct sl_slice *ret);

/* A UUID; absent is fine and leaves `*ret`. */
bool spec_id_decode(struct spec_decode *decode, struct sl_value value, struct sl_slice *ret);

/* The fields `ports` and `env`; mistakes go to diags. 0 or -ENOMEM. */
int spec_ports_decode(struct spec_decode *decode, struct sl_value ports);
int spec_env_decode(struct spec_decode *decode, struct sl_value env);
