/* SPDX-License-Identifier: MIT */
/*
 * A mistake of the library that ended the whole process by SIGABRT, on busy machines, with harmless
 * scripts. The thread of its watchdog sets a bit and then, as a second step, asks for a stop:
 *
 *     watchdog                             script
 *     sets the bit, asks for a stop
 *     (due again) sets the bit
 *                                          sees the bit, clears it, looks at the clock
 *     asks for a stop
 *       nothing is due, yet a stop
 *       is asked for: abort()
 *                                          would have taken the stop back here
 *
 * The second function has the same in the other direction. With traps that are polled, as here, to
 * ask for a stop is to note that it was asked for, and nothing but these two reads the note: a script
 * polls the bit itself. So both do nothing. Like js_watchdog_now, they are called through the library's
 * own table, in which what the program defines comes first (ld.so(8)).
 *
 * This was read in the code of 2.50; to the functions of any other version the calls go on.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "nodes/script/js/js_private.h"

enum { READ_MAJOR = 2, READ_MINOR = 50 };

/* Exported by the library; its headers of this name want those of GLib. */
unsigned jsc_get_major_version(void) __attribute__((weak));
unsigned jsc_get_minor_version(void) __attribute__((weak));

void js_stop_request(void *traps,
                     uint32_t bits) __asm__("_ZN3JSC7VMTraps25requestThreadStopIfNeededEj");
void js_stop_cancel(void *traps) __asm__("_ZN3JSC7VMTraps24cancelThreadStopIfNeededEv");

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool is_silent;
static void (*library_request)(void *traps, uint32_t bits);
static void (*library_cancel)(void *traps);

static void *library_find(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

static void look(void)
{
    const char *polls = getenv("JSC_usePollingTraps");
    bool is_polled = polls != NULL && (strcmp(polls, "1") == 0 || strcmp(polls, "true") == 0);
    is_silent = is_polled && jsc_get_major_version != NULL && jsc_get_minor_version != NULL &&
                jsc_get_major_version() == READ_MAJOR && jsc_get_minor_version() == READ_MINOR;
    void *request = library_find("_ZN3JSC7VMTraps25requestThreadStopIfNeededEj");
    void *cancel = library_find("_ZN3JSC7VMTraps24cancelThreadStopIfNeededEv");
    memcpy(&library_request, &request, sizeof(request));
    memcpy(&library_cancel, &cancel, sizeof(cancel));
}

bool js_traps_open(void)
{
    (void)pthread_once(&once, look);
    return is_silent;
}

void js_stop_request(void *traps, uint32_t bits)
{
    if (!js_traps_open() && library_request != NULL) library_request(traps, bits);
}

void js_stop_cancel(void *traps)
{
    if (!js_traps_open() && library_cancel != NULL) library_cancel(traps);
}
