/* SPDX-License-Identifier: MIT */
#include "ctl/loader/address.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/flat/flat_fast.h"
#include "core/base/assertion.h"
#include "core/base/limit.h"
#include "core/graph/kind.h"

/* The address of a key, without its protocol. */
static const char *address_of(const char *key)
{
    const char *mark = strstr(key, "://");
    return mark != NULL ? mark + 3 : key;
}

/* True if `host` (of size bytes) stands for all hosts that `other` may be one of. */
static bool is_any_of(const char *host, size_t size, const char *other)
{
    if (size == 4 && memcmp(host, "[::]", 4) == 0) return true;
    return size == 7 && memcmp(host, "0.0.0.0", 7) == 0 && other[0] != '[';
}

bool sl_address_is_same(const char *key, const char *other)
{
    sl_assert(key != NULL);
    sl_assert(other != NULL);
    const char *a = address_of(key);
    const char *b = address_of(other);
    const char *a_port = strrchr(a, ':');
    const char *b_port = strrchr(b, ':');
    if (a_port == NULL || b_port == NULL) return strcmp(a, b) == 0;
    if (strcmp(a_port, b_port) != 0) return false;
    return strcmp(a, b) == 0 || is_any_of(a, (size_t)(a_port - a), b) ||
           is_any_of(b, (size_t)(b_port - b), a);
}

void sl_address_conflict(const char *key, const struct sl_address *owner, struct sl_diag *reterr)
{
    sl_assert(key != NULL);
    sl_assert(owner != NULL);
    char other[SL_SPEC_NAME_MAX + 16] = "";
    char place[SL_DIAG_FILE_SIZE + 32] = "";
    if (strcmp(key, owner->key) != 0) {
        (void)snprintf(other, sizeof(other), " (%s)", address_of(owner->key));
    }
    if (owner->pos.line > 0) {
        (void)snprintf(place, sizeof(place), " at %s%s%u:%u", owner->file,
                       owner->file[0] != '\0' ? ":" : "", owner->pos.line, owner->pos.column);
    }
    (void)sl_diag_set(reterr, "address_conflict", (struct sl_pos){0, 0},
                      "%s is the address of the listener \"%s\"%s%s already", address_of(key),
                      owner->name, other, place);
    sl_diag_hint(reterr, "give one of them another port");
}

static void address_fini(struct sl_address *address)
{
    free(address->key);
    free(address->name_space);
    free(address->name);
    free(address->file);
}

void sl_addresses_fini(struct sl_addresses *addresses)
{
    for (size_t i = 0; i < addresses->count; i++) address_fini(&addresses->items[i]);
    free(addresses->items);
    *addresses = (struct sl_addresses){0};
}

static int address_push(struct sl_addresses *addresses, const struct sl_compile *c,
                        const char *name_space, const char *key, struct sl_pos pos)
{
    size_t size = (addresses->count + 1) * sizeof(*addresses->items);
    struct sl_address *items = realloc(addresses->items, size);
    if (items == NULL) return -ENOMEM;
    addresses->items = items;
    struct sl_address *own = &items[addresses->count];
    *own = (struct sl_address){.key = strdup(key),
                               .name_space = strdup(name_space),
                               .name = strdup(c->name),
                               .file = strdup(c->file),
                               .pos = pos};
    if (own->key == NULL || own->name_space == NULL || own->name == NULL || own->file == NULL) {
        address_fini(own);
        return -ENOMEM;
    }
    addresses->count++;
    return 0;
}

int sl_addresses_take(struct sl_addresses *addresses, const struct sl_compile *c,
                      const char *name_space, const char *key)
{
    sl_assert(addresses != NULL);
    sl_assert(c != NULL);
    sl_assert(key != NULL);
    struct sl_value port = sl_value_get_str(c->spec, "port");
    struct sl_pos pos = sl_value_pos(sl_value_is_none(port) ? c->spec : port);
    int result = 0;
    for (size_t i = 0; !addresses->is_quiet && i < addresses->count; i++) {
        const struct sl_address *owner = &addresses->items[i];
        if (!sl_address_is_same(key, owner->key)) continue;
        struct sl_diag diag = {0};
        sl_address_conflict(key, owner, &diag);
        diag.pos = pos;
        sl_diag_file(&diag, c->file);
        if (strcmp(name_space, owner->name_space) != 0) {
            diag.level = SL_DIAG_WARNING;
            sl_diag_hint(&diag, "in namespace \"%s\": both cannot run on one machine",
                         owner->name_space);
        } else {
            result = -EINVAL;
        }
        (void)sl_diags_push(c->diags, &diag);
        break;
    }
    int r = address_push(addresses, c, name_space, key, pos);
    return r < 0 ? r : result;
}
