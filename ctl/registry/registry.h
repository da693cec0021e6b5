/* SPDX-License-Identifier: MIT */
/*
 * The registry: a log of specifications and secrets. Every change set is one atomic transaction
 * and one revision; revisions are dense (1, 2, 3 …; 0 is the empty registry) and any revision
 * that is still retained can be read again, compared and restored.
 *
 *     sl_registry_apply ──▶ [ rev 7 ][ rev 8 ][ rev 9 ] ──▶ sl_view (a snapshot at a revision)
 *          │ validate                                 └──▶ sl_watch  (follow from a revision, watch.h)
 *          └─ refused: no revision                    └──▶ history, diff, rollback (history.h)
 *
 * Two backends stand behind this interface: LMDB in a directory (shared by OS processes), and
 * memory (one process; for the simulator and for a start without a data directory).
 *
 * Objects are specs and secrets. Both have an id (UUID), a namespace that never changes, and a
 * name that is empty or unique among the objects of their type in the namespace.
 * A spec's document is stored in canonical form: id, kind, namespace, name (if any), then the
 * author's other fields in the author's order; so what is read back and applied again is
 * identical and makes no revision. A secret's document is {id, namespace, name, annotations};
 * its value is sealed, is read only by sl_registry_secret_value, and only its current value
 * exists: history keeps that it changed, never what it was.
 *
 * Threads: control threads only, any number of them; every call may wait for the disk or for
 * another writer. An object or list belongs to one thread at a time.
 * Returns: 0, -Exxx, or an outcome of `enum sl_registry_outcome`. Nothing here ever prints.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codecs/flat/flat.h"
#include "core/base/clock.h"
#include "core/base/diag.h"
#include "core/base/slice.h"

struct sl_mem;
struct sl_registry;
struct sl_view;

enum sl_registry_outcome {
    SL_REGISTRY_NOT_FOUND = 1, /* no such object */
    SL_REGISTRY_CONFLICT = 2,  /* id or (namespace, name) is taken by another object */
    SL_REGISTRY_STALE = 3,     /* an `if_revision` did not hold: read again */
    SL_REGISTRY_REFUSED = 4,   /* the document or the validator says no: see the diagnostics */
    SL_REGISTRY_GONE = 5,      /* that revision is no longer retained, or does not exist yet */
};

enum sl_object_type { SL_OBJECT_SPEC = 1, SL_OBJECT_SECRET = 2 };

enum { SL_ID_SIZE = 37 }; /* a UUID as 36 lower-case characters and a zero byte */

#define SL_REVISION_NEWEST UINT64_MAX /* for reads: the newest */
#define SL_REVISION_ANY    UINT64_MAX /* for `if_revision`: no condition */

/* ------------------------------------------------------------------------------------------ */
/* Opening                                                                                      */

struct sl_registry_opts {
    struct sl_clock *clock; /* NULL: the system's */
    /*
     * The key that seals secrets: 64 hexadecimal digits. NULL: the environment's SLUICE_KEY, and
     * without it the file DIR/secret.key, created (mode 0600) with the first secret.
     */
    const char *key;
    uint64_t map_size;      /* bytes of address space at first; 0: 64 GiB. It grows by itself */
    uint64_t revisions_max; /* retention; 0: SL_REGISTRY_HISTORY_REVISIONS */
    uint64_t age_max_ns;    /* retention; 0: 30 days */
};

/*
 * Open (or create, mode 0700) the registry in directory `dir`; NULL: in memory. The same directory
 * may be opened by many OS processes, and several times by one.
 *
 * opts     may be NULL
 * reterr   what to do about it: permissions, a full disk, a wrong key, no LMDB file
 * returns  0 or -Exxx; `*ret_registry` is owned by the caller
 */
int sl_registry_open(const char *dir, const struct sl_registry_opts *opts,
                     struct sl_registry **ret_registry, struct sl_diag *reterr);

/* Close. Views and watches of it must be closed before. NULL is fine; returns NULL. */
struct sl_registry *sl_registry_close(struct sl_registry *registry);

/* The directory, or NULL in memory; borrowed for the registry's life. */
const char *sl_registry_dir(const struct sl_registry *registry);

/* Newest revision (0: nothing was ever stored), as last committed by any process. 0 or -Exxx. */
int sl_registry_revision(struct sl_registry *registry, uint64_t *ret_revision);

/*
 * Housekeeping: clear readers that died inside a transaction, apply the retention. Call it about
 * once a minute; it works in small transactions. 0 or -Exxx.
 */
int sl_registry_maintain(struct sl_registry *registry);

/* ------------------------------------------------------------------------------------------ */
/* Objects                                                                                      */

/*
 * One stored object, one heap block. All pointers live as long as it does; `document` may be
 * counted on its own (sl_value_ref) and then outlives it.
 */
struct sl_object {
    enum sl_object_type type;
    char id[SL_ID_SIZE];
    const char *namespace;
    const char *kind;          /* spec: its kind; secret: "" */
    const char *name;          /* "" if unnamed */
    struct sl_value document;  /* a Map in canonical form; no positions (parse `source` for them) */
    struct sl_slice sealed;    /* the document's sealed bytes */
    const char *origin_file;   /* where the author wrote it, "" if not from a file */
    uint32_t origin_line;      /* first line of `source` in that file, 0 if unknown */
    struct sl_slice source;    /* the author's text, empty if not from a text */
    uint64_t revision;         /* that wrote this version */
    uint64_t created_revision; /* that created the object; with `ordinal` the order of lists */
    uint32_t ordinal;          /* place in the change set that created it */
    uint8_t hash[32];          /* of the canonical document (BLAKE2b-256) */
};

/* Objects in the order of their creation (the author's order inside a file). */
struct sl_objects {
    struct sl_object **items; /* array of `count`, owned */
    size_t count;
    size_t cap;
};

/* NULL is fine; returns NULL. */
struct sl_object *sl_object_free(struct sl_object *object);

/* Free the list and its objects; empty and valid afterwards. */
void sl_objects_fini(struct sl_objects *objects);

/* Move an object out of a list; the list forgets it. */
struct sl_object *sl_objects_take(struct sl_objects *objects, size_t index);

/*
 * The documents as one List in `mem` (NULL: heap), for `get -o json|yaml` and for the answers of
 * nodes.* and secrets.*; secrets show no value. One count for the caller. 0, -ENOMEM, -E2BIG.
 */
int sl_objects_value(const struct sl_objects *objects, struct sl_mem *mem,
                     struct sl_value *ret_value);

/*
 * The deterministic id of an unnamed spec that comes from a file: UUIDv5 (RFC 9562 §5.5) of
 * "namespace", a zero byte, "path", under a fixed space of our own. `path` says where in the
 * namespace's sources the spec stands, e.g. "ping.yaml#3".
 */
void sl_registry_id_derive(const char *namespace, const char *path, char ret_id[SL_ID_SIZE]);

/* True if `text` is a UUID; `ret_id` gets its lower-case form. */
bool sl_registry_id_parse(const char *text, char ret_id[SL_ID_SIZE]);

/* ------------------------------------------------------------------------------------------ */
/* Reading: a view is one consistent snapshot                                                   */

/*
 * Open a view at `revision` (SL_REVISION_NEWEST for the newest). While it is open no old page can
 * be reused: keep it for milliseconds, never across a wait for the outside, and close it before
 * the same thread changes anything.
 *
 * returns  0, SL_REGISTRY_GONE, or -Exxx
 */
int sl_view_open(struct sl_registry *registry, uint64_t revision, struct sl_view **ret_view);

/* NULL is fine; returns NULL. Not for the view that a validator was given. */
struct sl_view *sl_view_close(struct sl_view *view);

/* The revision that the view shows. In a validator: the one about to be made. */
uint64_t sl_view_revision(const struct sl_view *view);

/* One object by id. 0, SL_REGISTRY_NOT_FOUND or -Exxx; owned by the caller. */
int sl_view_get(struct sl_view *view, enum sl_object_type type, const char *id,
                struct sl_object **ret_object);

/* One object by its unique name. 0, SL_REGISTRY_NOT_FOUND or -Exxx; owned by the caller. */
int sl_view_find(struct sl_view *view, enum sl_object_type type, const char *namespace,
                 const char *name, struct sl_object **ret_object);

/*
 * All objects of a type.
 *
 * namespace  NULL: of all namespaces
 * filter     cell == NULL or Null: everything. A Map is an example: an object matches if it has all
 *            given fields with equal values, where a Map inside the example is again an example. A
 *            List of examples: any of them; the empty List matches nothing.
 * ret        owned by the caller; filled from scratch
 * returns    0, -EINVAL for a filter of another shape, or -Exxx
 */
int sl_view_list(struct sl_view *view, enum sl_object_type type, const char *namespace,
                 struct sl_value filter, struct sl_objects *ret_objects);

/* Names of the namespaces that hold a spec or a secret, sorted; free each and the array. */
int sl_view_namespaces(struct sl_view *view, char ***ret_names, size_t *ret_count);

/* sl_view_open, sl_view_list without filter, sl_view_close, in one. */
int sl_registry_snapshot(struct sl_registry *registry, enum sl_object_type type,
                         const char *namespace, uint64_t revision, struct sl_objects *ret_objects,
                         uint64_t *ret_revision);

/*
 * Unseal the current value of a secret, whatever revision the view shows.
 *
 * id         NULL: by (namespace, name). With an id, `namespace` must be the secret's, or it is
 *            not found: secrets do not cross namespaces.
 * ret_value  one count for the caller (heap). Never print it, never put it into an error text.
 * returns    0, SL_REGISTRY_NOT_FOUND, -EKEYREJECTED (another key sealed it), or -Exxx
 */
int sl_registry_secret_value(struct sl_view *view, const char *namespace, const char *id,
                             const char *name, struct sl_value *ret_value, struct sl_diag *reterr);

/* ------------------------------------------------------------------------------------------ */
/* Changing                                                                                     */

enum sl_change_op {
    SL_CHANGE_APPLY = 1, /* create, or replace what id or (namespace, name) finds */
    SL_CHANGE_CREATE,    /* SL_REGISTRY_CONFLICT if id or name is taken */
    SL_CHANGE_UPDATE,    /* replace; SL_REGISTRY_NOT_FOUND if there is none */
    SL_CHANGE_DELETE,    /* by id, else by name */
};

/* Strings may be NULL, which means empty. Everything is borrowed for the call. */
struct sl_change {
    enum sl_change_op op;
    enum sl_object_type type;
    /*
     * Who is meant. What is NULL is taken from the document; a namespace that is in neither is that
     * of the object with this id, else "default". No id: the object of that name, else one derived
     * from `path` if given, else a random one.
     */
    const char *id;
    const char *namespace;
    const char *name;
    const char *path;
    /*
     * Spec: the whole document, a Map; `kind` in it is required.
     * Secret: a Map with optional `annotations`, and `data` (or `value`), of any shape: the value to
     * seal. A secret that exists keeps its value if none is given.
     * Delete: ignored.
     */
    struct sl_value document;
    const char *origin_file;
    uint32_t origin_line;
    struct sl_slice source;
    uint64_t if_revision; /* 0: no condition; else the object's `revision` must be this */
    bool missing_ok;      /* delete: what is not there is no error */
};

enum sl_change_effect {
    SL_EFFECT_NONE, /* identical content, or nothing to delete */
    SL_EFFECT_CREATED,
    SL_EFFECT_UPDATED,
    SL_EFFECT_DELETED,
};

struct sl_change_set {
    const struct sl_change *changes; /* array of `count` */
    size_t count;
    const char *author;   /* who: "cli:alice (1000)", "workflow system" …; may be NULL */
    const char *message;  /* what for: "apply ping.yaml"; may be NULL */
    uint64_t if_revision; /* newest revision must be this, or SL_REVISION_ANY */
    bool dry_run;         /* do everything but store it */
};

struct sl_commit_item {
    enum sl_change_effect effect;
    struct sl_object *before; /* NULL: created, or no effect */
    struct sl_object *after;  /* NULL: deleted, or not there; no effect: the object as it is */
};

struct sl_commit {
    uint64_t revision;   /* new, or the newest one if nothing changed; dry run: what it would be */
    size_t changed;      /* items with an effect; 0: no revision was made */
    size_t failed_index; /* change at fault when an outcome was returned, else `count` */
    struct sl_commit_item *items; /* array of `count`, one for each change, in their order */
    size_t count;
};

/* Free what a commit holds; zero-initialised is fine. */
void sl_commit_fini(struct sl_commit *commit);

/*
 * Store a change set: all of it or nothing, durable before it returns (unless in memory).
 *
 * ret_commit  may be NULL; zeroed on failure except failed_index
 * diags       may be NULL; gets the reasons, with the author's file and line where known
 * returns     0, an outcome, -ENOSPC (disk full), -E2BIG (a limit), or -Exxx
 */
int sl_registry_apply(struct sl_registry *registry, const struct sl_change_set *set,
                      struct sl_commit *ret_commit, struct sl_diags *diags);

/*
 * Called inside the transaction before a change set is stored, once for each namespace in which
 * specs change, also for rollbacks and dry runs. It may run again if the transaction is repeated.
 *
 * view       the state as it would be: sl_view_list(view, …), sl_view_find, secrets' metadata.
 *            Objects that this change set touches have revision == sl_view_revision(view)
 * diags      add errors here; warnings do not refuse
 * returns    0 (refused if an error was added), or -Exxx to give up
 */
typedef int sl_registry_validate_fn(void *ctx, struct sl_view *view, const char *namespace,
                                    struct sl_diags *diags);

/* Set or clear (NULL) the validator. Before other threads use the registry. */
void sl_registry_set_validator(struct sl_registry *registry, sl_registry_validate_fn *validate,
                               void *ctx);

/* ------------------------------------------------------------------------------------------ */
/* Beside the log: what a runtime remembers. No revision, no history, not validated.             */

/*
 * A small value under (namespace, key), e.g. which revision a runtime has published. Durable
 * before it returns; an equal value is not written again; size 0 removes it. 0 or -Exxx.
 */
int sl_registry_meta_put(struct sl_registry *registry, const char *namespace, const char *key,
                         struct sl_slice value);

/* 0, SL_REGISTRY_NOT_FOUND, or -Exxx; `*ret_data` has a zero byte after it, free() it. */
int sl_registry_meta_get(struct sl_registry *registry, const char *namespace, const char *key,
                         char **ret_data, size_t *ret_size);

/*
 * Remember the last good version of specs: the one that (id, revision) names, which the retention
 * then spares. Call it after a program was published, with the versions that are active in it.
 * Deleting a spec forgets its good version. Nothing is written if nothing is new.
 *
 * objects  array of `count`; only `id` and `revision` are read
 * returns  0 or -Exxx
 */
int sl_registry_good_put(struct sl_registry *registry, const struct sl_object *const *objects,
                         size_t count);

/*
 * The last good version of a spec, which may be the current one.
 * returns  0, SL_REGISTRY_NOT_FOUND, or -Exxx; owned by the caller
 */
int sl_view_good_get(struct sl_view *view, const char *id, struct sl_object **ret_object);
