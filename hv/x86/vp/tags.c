/* See tags.h. */
#include "hv/x86/vp/tags.h"

void x86_tags_init(struct x86_tags *tags, unsigned count)
{
    *tags = (struct x86_tags){ .count = count };
    x86_tags_flush(tags);
}

/* The place of @root's tag, or of the one to give away. */
static unsigned place_of(const struct x86_tags *tags, uint64_t root)
{
    unsigned oldest = 0;

    for (unsigned i = 0; i < tags->count; i++) {
        if (tags->tag[i].root == root) {
            return i;
        }
        if (tags->tag[i].last < tags->tag[oldest].last) {
            oldest = i;
        }
    }
    return oldest;
}

void x86_tags_choose(struct x86_tags *tags, uint64_t root)
{
    if (tags->tag[tags->now].root != root) {
        tags->now = place_of(tags, root);
        tags->tag[tags->now].stale |= tags->tag[tags->now].root != root;
        tags->tag[tags->now].root = root;
        tags->tag[tags->now].last = ++tags->turn;
    }
}

void x86_tags_switch(struct x86_tags *tags, uint64_t from, uint64_t to)
{
    tags->tag[tags->now].root = from;
    x86_tags_choose(tags, to);
}

void x86_tags_flush_others(struct x86_tags *tags)
{
    for (unsigned i = 0; i < tags->count; i++) {
        tags->tag[i].stale |= i != tags->now;
    }
}

void x86_tags_flush(struct x86_tags *tags)
{
    for (unsigned i = 0; i < tags->count; i++) {
        tags->tag[i].stale = true;
    }
}
