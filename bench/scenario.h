/* SPDX-License-Identifier: MIT */
/*
 * What `sluice-bench tax` asks servers for. All servers of a scenario must do the same work, and
 * their replies are looked at before anything is measured.
 *
 *     ping    GET, the cheapest constant reply:       pong
 *     const   GET, a script encodes a small table:    {"message":"pong"}
 *     echo    POST of 169 bytes of JSON; a script decodes it, adds 1 to `count`, encodes the whole
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define SL_SCENARIOS(X)                                                                            \
    X(PING, "ping", "/ping", NULL)                                                                 \
    X(CONST, "const", "/ping", NULL)                                                               \
    X(ECHO, "echo", "/echo", "echo.json")

enum sl_scenario {
#define X(id, name, path, body) SL_SCENARIO_##id,
    SL_SCENARIOS(X)
#undef X
        SL_SCENARIOS_COUNT
};

/* The name of a scenario, for people; static. */
const char *sl_scenario_name(enum sl_scenario scenario);
/* The path that is asked for in a scenario; static. */
const char *sl_scenario_path(enum sl_scenario scenario);

/* The file of bench/peers/ that is sent, or NULL. */
const char *sl_scenario_body_file(enum sl_scenario scenario);

/*
 * Is this body the right reply? White space between the parts of JSON does not matter, nor the order
 * of keys. `body` ends with a zero.
 */
bool sl_scenario_reply_is_right(enum sl_scenario scenario, const char *body, size_t body_size);
