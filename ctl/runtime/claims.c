/* SPDX-License-Identifier: MIT */
#include "ctl/runtime/claims.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assertion.h"
#include "core/base/list.h"
#include "core/graph/program.h"
#include "ctl/admin/path.h"
#include "ctl/loader/address.h"
#include "ctl/registry/lease.h"
#include "io/sock/sock.h"

enum { CLAIM_KEY_SIZE = 256, CLAIM_WAIT_MS = 50 };

struct claim {
    struct sl_list link;
    char key[CLAIM_KEY_SIZE];
    struct sl_lease *lease;
};

struct sl_claims {
    struct sl_list claims;
    char folder[256]; /* "": no place for leases; then only the address itself is looked at */
};

struct sl_claims *sl_claims_new(const char *data_dir)
{
    struct sl_claims *claims = calloc(1, sizeof(*claims));
    if (claims == NULL) return NULL;
    sl_list_init(&claims->claims);
    if (sl_admin_runtime_folder(claims->folder, sizeof(claims->folder)) < 0) {
        (void)snprintf(claims->folder, sizeof(claims->folder), "%s", data_dir ? data_dir : "");
    }
    return claims;
}

static void claim_drop(struct claim *claim)
{
    sl_list_remove(&claim->link);
    claim->lease = sl_lease_drop(claim->lease);
    free(claim);
}

struct sl_claims *sl_claims_free(struct sl_claims *claims)
{
    if (claims == NULL) return NULL;
    while (!sl_list_is_empty(&claims->claims)) {
        claim_drop(sl_container_of(claims->claims.next, struct claim, link));
    }
    free(claims);
    return NULL;
}

static struct claim *claim_of(struct sl_claims *claims, const char *key)
{
    for (struct sl_list *at = claims->claims.next; at != &claims->claims; at = at->next) {
        struct claim *claim = sl_container_of(at, struct claim, link);
        if (strcmp(claim->key, key) == 0) return claim;
    }
    return NULL;
}

/* "http://127.0.0.1:8000" → "listener-127.0.0.1:8000" */
static void lease_name(const char *key, char *name, size_t size)
{
    const char *address = strstr(key, "://");
    (void)snprintf(name, size, "listener-%s", address != NULL ? address + 3 : key);
}

/* Who may have it, and what to do about it. */
static void address_hint(const char *key, int error, struct sl_diag *reterr)
{
    const char *port = strrchr(key, ':');
    if (error == -EADDRINUSE && port != NULL) {
        sl_diag_hint(reterr,
                     "\"ss -ltnp sport = %s\" names the program that has it; or give the "
                     "listener another port",
                     port);
    } else if (error == -EACCES) {
        sl_diag_hint(reterr, "ports below 1024 need CAP_NET_BIND_SERVICE (man 7 capabilities); or "
                             "give the listener a port from 1024 on");
    } else if (error == -EADDRNOTAVAIL) {
        sl_diag_hint(reterr, "this machine has no such address: host: 127.0.0.1 is itself, 0.0.0.0 "
                             "all that it has");
    }
}

static int address_is_free(const char *key, struct sl_diag *reterr)
{
    struct sl_addr addr;
    const char *address = strstr(key, "://");
    int r =
        address == NULL ? -EINVAL : sl_addr_parse(sl_slice_from_str(address + 3), &addr, reterr);
    if (r < 0) return r;
    r = sl_sock_wait_free(&addr, CLAIM_WAIT_MS);
    if (r < 0) {
        (void)sl_diag_set(reterr, r == -EADDRINUSE ? "address_in_use" : "cannot_listen",
                          (struct sl_pos){0, 0}, "cannot listen on %s: %s", key, strerror(-r));
        address_hint(key, r, reterr);
    }
    return r;
}

/* True if an address of ours is, for the kernel, the same: 0.0.0.0:80 and 127.0.0.1:80. */
static bool overlaps_ours(struct sl_claims *claims, const char *key)
{
    for (struct sl_list *at = claims->claims.next; at != &claims->claims; at = at->next) {
        if (sl_address_is_same(key, sl_container_of(at, struct claim, link)->key)) return true;
    }
    return false;
}

/* Another runtime has it. */
static int lease_is_held(const struct sl_claims *claims, const char *key, const char *name,
                         struct sl_diag *reterr)
{
    long owner = 0;
    (void)sl_lease_owner(claims->folder, name, &owner);
    (void)sl_diag_set(reterr, "lease_held", (struct sl_pos){0, 0},
                      "cannot listen on %s: sluice process %ld has it", key, owner);
    sl_diag_hint(reterr, "\"ps -fp %ld\" shows it; or give the listener another port", owner);
    return -EADDRINUSE;
}

int sl_claims_take(struct sl_claims *claims, const char *key, struct sl_diag *reterr)
{
    sl_assert(strlen(key) < CLAIM_KEY_SIZE);
    if (claim_of(claims, key) != NULL) return 0;
    struct claim *claim = calloc(1, sizeof(*claim));
    if (claim == NULL) return -ENOMEM;
    (void)snprintf(claim->key, sizeof(claim->key), "%s", key);
    sl_list_init(&claim->link);
    char name[CLAIM_KEY_SIZE + 16];
    lease_name(key, name, sizeof(name));
    int r =
        claims->folder[0] == '\0' ? 0 : sl_lease_take(claims->folder, name, &claim->lease, reterr);
    if (r == SL_LEASE_HELD) r = lease_is_held(claims, key, name, reterr);
    /* A listener that is being opened to the network, or closed to it: our own socket is no other's. */
    if (r == 0 && !overlaps_ours(claims, key)) r = address_is_free(key, reterr);
    if (r < 0) {
        claim_drop(claim);
        return r;
    }
    sl_list_insert(&claims->claims, &claim->link);
    return 0;
}

static bool program_names(const struct sl_program *program, const char *key)
{
    for (uint32_t i = 0; program != NULL && i < program->sources_count; i++) {
        if (strcmp(program->sources[i].key, key) == 0) return true;
    }
    return false;
}

void sl_claims_settle(struct sl_claims *claims, const struct sl_program *program)
{
    for (struct sl_list *at = claims->claims.next; at != &claims->claims;) {
        struct claim *claim = sl_container_of(at, struct claim, link);
        at = at->next;
        if (!program_names(program, claim->key)) claim_drop(claim);
    }
}
