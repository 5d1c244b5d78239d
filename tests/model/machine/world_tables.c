/*
 * The engine's table memory: which pages it has, and what processors do between two of its stores.
 */
#include "tests/model/machine/world_internal.h"

#include <stdlib.h>
#include <string.h>

/* --- pages --- */

/* The page that was given back last, or any: a page that is used again soon shows who still walks through it. */
static void *page_take(void *context, enum vmmu_page_zone zone, vmmu_hpa *at)
{
    struct world *world = context;
    uint32_t chosen;

    (void)zone; /* all of them are below 4 GiB */
    if (world->free_count == 0) {
        return NULL;
    }
    chosen = world->free_count - 1;
    if (world_once_in(world, 2)) {
        chosen = luck_below(&world->luck, world->free_count);
    }
    at->v = world->free_pages[chosen];
    world->free_pages[chosen] = world->free_pages[--world->free_count];
    world->given_pages++;
    memory_assign(world->memory, at->v, VMMU_PAGE_BYTES, OWNER_TABLES);
    return memory_page(world->memory, at->v);
}

static void page_give(void *context, vmmu_hpa at, void *page)
{
    struct world *world = context;

    if (memory_owner_of(world->memory, at.v) != OWNER_TABLES || world->given_pages == 0 ||
        page != memory_page(world->memory, at.v)) {
        world_report(world, CHECK_TABLES, "page %#llx was given back, which was no table page",
                     (unsigned long long)at.v);
        return;
    }
    memory_assign(world->memory, at.v, VMMU_PAGE_BYTES, OWNER_FOREIGN);
    world->free_pages[world->free_count++] = at.v;
    world->given_pages--;
}

static void *page_at(void *context, vmmu_hpa at)
{
    struct world *world = context;

    return memory_page(world->memory, at.v);
}

/* --- stores --- */

/* Processors do something, and one that remembers nothing looks. Many stores make each one less interesting. */
static void let_processors_act(struct world *world)
{
    const uint32_t rarity = 2 + world->stores / 8;

    if (!world->engine) {
        return;
    }
    while (world_once_in(world, rarity)) {
        world_act(world);
    }
    if (world_once_in(world, rarity)) {
        world_probe(world);
    }
}

static uint64_t entry_load(void *context, const void *entry, unsigned width_bytes)
{
    uint64_t value = 0;

    (void)context;
    memcpy(&value, entry, width_bytes);
    return value;
}

static bool entry_exchange(void *context, void *entry, unsigned width_bytes, uint64_t *expected,
                           uint64_t desired)
{
    struct world *world = context;
    uint64_t stands;

    let_processors_act(world);
    stands = entry_load(context, entry, width_bytes);
    if (stands != *expected) {
        *expected = stands;
        return false;
    }
    memcpy(entry, &desired, width_bytes);
    world->stores++;
    let_processors_act(world);
    return true;
}

/* --- isolation --- */

static bool owns(void *context, vmmu_hpa at, uint64_t size_bytes)
{
    struct world *world = context;

    return memory_is_owned(world->memory, at.v, size_bytes, OWNER_GUEST);
}

void world_provoke(struct world *world, bool provoking)
{
    world->provoking = provoking;
}

static void violated(void *context, const char *what)
{
    struct world *world = context;

    if (!world->provoking) {
        world_report(world, CHECK_ISOLATION, "the engine was about to break isolation: %s", what);
    }
}

/* --- life --- */

bool world_tables_start(struct world *world)
{
    static const uint32_t cache_pages[] = { 0, 2, 8 };
    const uint32_t limit =
        world->setting.given_pages != 0 ? world->setting.given_pages : world->setting.table_pages;
    const uint32_t pages = limit < HOST_TABLE_PAGES / 2 ? limit * 2 : HOST_TABLE_PAGES;

    world->quarantine = calloc(limit + 1, sizeof *world->quarantine);
    if (!world->quarantine) {
        return false;
    }
    world->host = (struct vmmu_host){
        .context = world,
        .page_take = page_take,
        .page_give = page_give,
        .page_at = page_at,
        .entry_load = entry_load,
        .entry_exchange = entry_exchange,
        .owns = owns,
        .violated = violated,
    };
    for (uint32_t i = 0; i < pages; i++) {
        world->free_pages[i] = HOST_TABLES_BASE + i * VMMU_PAGE_BYTES;
    }
    world->free_count = pages;
    vmmu_table_init(&world->tables, &world->host, world->quarantine, limit,
                    cache_pages[luck_below(&world->luck, 3)]);
    return true;
}

void world_tables_finish(struct world *world)
{
    if (world->host.context) {
        vmmu_table_drain(&world->tables);
        if (world->given_pages != 0) {
            world_report(world, CHECK_TABLES, "%u table pages were never given back", world->given_pages);
        }
    }
    free(world->quarantine);
}
