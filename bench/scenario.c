/* SPDX-License-Identifier: MIT */
#include "bench/scenario.h"

#include <string.h>

#include "core/base/assertion.h"

enum { BODY_SIZE_MAX = 1024, MEMBERS_MAX = 12 };

static const struct {
    const char *name;
    const char *path;
    const char *body_file;
} SCENARIOS[] = {
#define X(id, name, path, body) {name, path, body},
    SL_SCENARIOS(X)
#undef X
};

/*
 * The members that must stand in a reply, whatever their order; with their sizes they make up the
 * whole of it: nothing may be added.
 */
static const struct {
    const char *const members[MEMBERS_MAX]; /* ends with NULL */
    size_t size;                            /* of the whole reply without white space */
} REPLIES[SL_SCENARIOS_COUNT] = {
    [SL_SCENARIO_PING] = {{"pong", NULL}, 4},
    [SL_SCENARIO_CONST] = {{"{\"message\":\"pong\"}", NULL}, 18},
    [SL_SCENARIO_ECHO] = {{"\"id\":\"a1b2c3d4\"", "\"count\":42", "\"name\":\"AdaLovelace\"",
                           "\"age\":36", "\"email\":\"ada@example.org\"", "\"user\":{",
                           "\"tags\":[\"alpha\",\"beta\",\"gamma\"]", "\"active\":true",
                           "\"score\":12.5", "\"note\":\"hello\"", NULL},
                          167},
};

const char *sl_scenario_name(enum sl_scenario scenario)
{
    sl_assert(scenario < SL_SCENARIOS_COUNT);
    return SCENARIOS[scenario].name;
}

const char *sl_scenario_path(enum sl_scenario scenario)
{
    sl_assert(scenario < SL_SCENARIOS_COUNT);
    return SCENARIOS[scenario].path;
}

const char *sl_scenario_body_file(enum sl_scenario scenario)
{
    sl_assert(scenario < SL_SCENARIOS_COUNT);
    return SCENARIOS[scenario].body_file;
}

bool sl_scenario_reply_is_right(enum sl_scenario scenario, const char *body, size_t body_size)
{
    char text[BODY_SIZE_MAX];
    size_t size = 0;
    sl_assert(scenario < SL_SCENARIOS_COUNT);
    sl_assert(body != NULL);
    if (body_size >= sizeof(text)) return false;
    for (size_t i = 0; i < body_size; i++) {
        if (strchr(" \t\r\n", body[i]) == NULL) text[size++] = body[i];
    }
    text[size] = '\0';
    if (size != REPLIES[scenario].size) return false;
    for (size_t i = 0; REPLIES[scenario].members[i] != NULL; i++) {
        if (strstr(text, REPLIES[scenario].members[i]) == NULL) return false;
    }
    return true;
}
