/* SPDX-License-Identifier: MIT */
/*
 * Compiling JavaScript and TypeScript text by running esbuild: types stripped, async functions and
 * `for await` lowered to generators (decisions: only our own Promise may hold jobs), ES module turned
 * into CommonJS, source map behind it. 5 ms a text; results are kept by content.
 */
#pragma once

#include "core/base/diag.h"
#include "core/base/slice.h"

/* See sl_js_setup. */
void js_esbuild_setup(const char *path, const char *cache_dir);

/*
 * Compile `code`. Control threads; several may call at once.
 *
 * loader    "js" or "ts"
 * ret_text  the output with its inline source map, zero-terminated, freed by the caller
 * reterr    position in the text: line and column from 1 (bytes); the caller maps it to its file
 * returns   0, -ENOMEM, -EINVAL with reterr
 */
int js_esbuild_compile(struct sl_slice code, const char *loader, char **ret_text,
                       struct sl_diag *reterr);
