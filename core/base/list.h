/* SPDX-License-Identifier: MIT */
/*
 * An intrusive doubly linked list. The head is a node too; an empty list points at itself.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct sl_list {
    struct sl_list *next;
    struct sl_list *prev;
};

#define sl_container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

static inline void sl_list_init(struct sl_list *list)
{
    list->next = list;
    list->prev = list;
}

static inline bool sl_list_is_empty(const struct sl_list *list)
{
    return list->next == list;
}

/* Insert `item` before `at`; with the head as `at`: at the end. */
static inline void sl_list_insert(struct sl_list *at, struct sl_list *item)
{
    item->prev = at->prev;
    item->next = at;
    at->prev->next = item;
    at->prev = item;
}

/* Unlink `item` and leave it empty, so unlinking twice is harmless. */
static inline void sl_list_remove(struct sl_list *item)
{
    item->prev->next = item->next;
    item->next->prev = item->prev;
    sl_list_init(item);
}
