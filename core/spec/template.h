/* SPDX-License-Identifier: MIT */
/*
 * Placeholders: `{{ .NAME }}` in the strings of a spec, bound to values.
 *
 *   '{{ .PORT }}'            exactly one placeholder: the value, with its type
 *   'http://{{ .HOST }}/x'   inside longer text: formatted into it
 *   '{{ .DB.password }}'     a part of a map; `{{ .LIST.0 }}` an entry of a list
 *   '{{ . }}'                the whole bound value (in `env`: of a secret)
 *   '{{"{{"}} .NAME }}'      the text `{{ .NAME }}`: the quoted braces stand for themselves
 *
 * Rules:
 * - A placeholder is two braces, spaces, a dot and a path, spaces, two braces. Other double braces
 *   (`style={{color: 1}}`, `{{name}}`, `{{#if}}`) are ordinary text and left alone. What begins
 *   like a placeholder and goes on differently (`{{ .NAME | upper }}`) is an error: there is no
 *   template language.
 * - A name that is not bound is an error with its place and the nearest name.
 * - What was put in is never looked at again: a bound value cannot smuggle in a placeholder.
 * - Code of a script is compiled as its author wrote it: a placeholder in such a field is an error
 *   (scripts read `env.NAME`), so a value can never become code.
 * - Inside longer text strings, numbers and booleans can stand; anything else is an error.
 * - Keys of maps are text too; a key is always formatted.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "codecs/flat/flat.h"
#include "core/base/diag.h"
#include "core/base/slice.h"

struct sl_mem;
struct sl_spec;

struct sl_template {
    struct sl_value bound; /* `{{ . }}`; its keys are the names. cell == NULL: nothing is bound */
    const char *what;      /* for messages, what binds: "env", "the environment" */
    const struct sl_spec *spec; /* for file and places; NULL: positions of the values, no file */
    struct sl_mem *mem;         /* of results; NULL: the heap */
    bool names_only;            /* only check the names: the values are not known yet, and the
                                 * result means nothing */
};

/* True if `text` may be a name in `env`: letters, digits, _ and -, beginning with a letter or _. */
bool sl_template_is_name(struct sl_slice text);

/* True if the string has a placeholder, a wrong one, or quoted braces. */
bool sl_template_is_in(struct sl_slice text);

/* True if a string somewhere in `value`, keys included, has one. */
bool sl_template_is_in_value(struct sl_value value);

/*
 * Replace the placeholders in all strings of `value`, at any depth. Positions are kept.
 *
 * ret_value  one count for the caller; `value` itself if there is nothing to replace
 * returns    0; -EINVAL with every mistake in diags; -ENOMEM
 */
int sl_template_apply(const struct sl_template *template, struct sl_value value,
                      struct sl_value *ret_value, struct sl_diags *diags);

/*
 * The same for a spec: `spec->value` with the kind's own fields replaced. The fields that every
 * spec has stay as they are, and so does `specs`: children are bound one by one.
 *
 * code       NULL-terminated names of fields that hold code of a script, or NULL: a placeholder
 *            in one of them is an error. "matches.when" is the field `when` of the map, or of
 *            each map of the list, `matches`
 */
int sl_template_apply_spec(const struct sl_template *template, const char *const *code,
                           struct sl_value *ret_value, struct sl_diags *diags);
