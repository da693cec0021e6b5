/* SPDX-License-Identifier: MIT */
/*
 * What can be said about a spec's placeholders while their values are not known: `sluice check` has
 * no secrets and need not have the environment.
 *
 * Control thread; needs the table of kinds.
 */
#pragma once

#include "core/base/diag.h"
#include "core/spec/spec.h"

/*
 * Report placeholders in the fields of a spec and its children whose name no `env` binds: neither
 * its own nor that of a block around it. Fields that hold code may have no placeholder at all.
 *
 * returns  0; -EINVAL with errors in diags; -ENOMEM
 */
int sl_spec_check_env(const struct sl_spec *spec, struct sl_diags *diags);
