#include "tests/unit/tools_image/state.h"

static const char nested[] =
    "{\"vmmu_state\":1,\"backend\":\"svm\",\"clock_ns\":5,\"partitions\":[{\"index\":0,\"technique\":"
    "\"nested\","
    "\"outcome\":\"running\",\"memory\":["
    "{\"gpa\":\"0x100000\",\"hpa\":\"0x20000\",\"bytes\":\"0x4000\",\"rights\":\"r-x\"},"
    "{\"gpa\":\"0x0\",\"hpa\":\"0x10000\",\"bytes\":\"0x8000\",\"rights\":\"rwx\"}],"
    "\"cpu\":{\"maxphyaddr\":40,\"pse\":true,\"pse36\":true,\"pae\":true,\"pge\":true,\"nx\":true,\"long_"
    "mode\":true,"
    "\"gib_pages\":false,\"la57\":false,\"smep\":true,\"smap\":true,\"pku\":false,\"pks\":false,\"pcid\":"
    "true,"
    "\"bit8_reserved\":true,\"cr4_others\":\"0x6f\",\"efer_others\":\"0x1\"},"
    "\"second\":{\"kind\":\"npt\",\"root\":\"0x30000\",\"levels\":4,\"maxphyaddr\":40},"
    "\"vps\":[{\"index\":0,\"tag\":3,\"gpr\":[\"0x0\",\"0x1\",\"0x2\",\"0x3\",\"0x4\",\"0x5\",\"0x6\","
    "\"0x7\",\"0x8\","
    "\"0x9\",\"0xa\",\"0xb\",\"0xc\",\"0xd\",\"0xe\",\"0xffffffffffffffff\"],\"rip\":\"0xfff0\",\"rflags\":"
    "\"0x2\","
    "\"cpl\":3,\"interrupt_shadow\":true,\"cr0\":\"0x80050033\",\"cr2\":\"0x1234\",\"cr3\":\"0x1000\","
    "\"cr4\":\"0x20\",\"efer\":"
    "\"0xd01\","
    "\"pat\":\"0x7040600070406\",\"pdpte\":[\"0x1\",\"0x2\",\"0x3\",\"0x4\"],\"pdpte_in_memory\":true,"
    "\"pkru\":\"0x55\",\"pkrs\":\"0x66\",\"segments\":["
    "{\"selector\":\"0x10\",\"base\":\"0x0\",\"limit\":\"0xffffffff\",\"attributes\":\"0xc093\"},"
    "{\"selector\":\"0x8\",\"base\":\"0x0\",\"limit\":\"0xffffffff\",\"attributes\":\"0xa09b\"},"
    "{\"selector\":\"0x18\",\"base\":\"0x0\",\"limit\":\"0xffffffff\",\"attributes\":\"0xc093\"},"
    "{\"selector\":\"0x20\",\"base\":\"0x0\",\"limit\":\"0xffffffff\",\"attributes\":\"0xc093\"},"
    "{\"selector\":\"0x28\",\"base\":\"0xfffff00000000000\",\"limit\":\"0xffff\",\"attributes\":\"0xc093\"},"
    "{\"selector\":\"0x30\",\"base\":\"0x7000\",\"limit\":\"0x1\",\"attributes\":\"0x93\"}]}],"
    "\"stats\":{\"vmmu\":1}}]}";

static struct json_object *parsed(const char *text)
{
    struct json_object *const object = json_tokener_parse(text);

    assert_non_null(object);
    return object;
}

struct json_object *sound_state(void)
{
    return parsed(nested);
}

struct json_object *shadow_state(void)
{
    struct json_object *const state = sound_state();

    set(partition_of(state), "technique", "\"shadow\"");
    json_object_object_del(partition_of(state), "second");
    set(partition_of(state), "tables",
        "[{\"hpa\":\"0x31000\",\"gpa\":\"0x1000\",\"level\":4,\"kind\":\"closed\"},"
        "{\"hpa\":\"0x32000\",\"gpa\":\"0x2000\",\"level\":1,\"kind\":\"open\"},"
        "{\"hpa\":\"0x33000\",\"gpa\":\"0x3000\",\"level\":2,\"kind\":\"closing\"},"
        "{\"hpa\":\"0x34000\",\"gpa\":\"0x200000\",\"level\":1,\"kind\":\"ours\"}]");
    set(vp_of(state), "shadow", "{\"cr3\":\"0x31000\",\"format\":\"4level\"}");
    return state;
}

static struct json_object *member(struct json_object *object, const char *key, unsigned index)
{
    struct json_object *const found = json_object_array_get_idx(json_object_object_get(object, key), index);

    assert_non_null(found);
    return found;
}

struct json_object *partition_of(struct json_object *state)
{
    return member(state, "partitions", 0);
}

struct json_object *vp_of(struct json_object *state)
{
    return member(partition_of(state), "vps", 0);
}

struct json_object *piece_of(struct json_object *state, unsigned index)
{
    return member(partition_of(state), "memory", index);
}

void set(struct json_object *object, const char *key, const char *value)
{
    EXPECT_EQ(json_object_object_add(object, key, parsed(value)), 0);
}

struct bytes dump_of(const char *state)
{
    struct segment segments[2] = { { .type = PT_NOTE }, { .type = PT_LOAD } };
    struct bytes content = { 0 };
    struct bytes core = { 0 };

    put(&content, state, strlen(state));
    put_note(&segments[0].content, "VMMU", 1, &content);
    for (unsigned page = 0; page < STATE_MEMORY_BYTES / 0x1000; page++)
        put_fill(&segments[1].content, (uint8_t)page, 0x1000);
    put_core64(&core, EM_X86_64, segments, 2);
    drop(&content);
    drop(&segments[0].content);
    drop(&segments[1].content);
    return core;
}

struct image *open_state(struct json_object *state)
{
    struct bytes core = dump_of(json_object_to_json_string(state));
    struct complaint complaint = { .text = "" };
    struct image *const image = open_bytes(&core, IMAGE_GUESS, &complaint);

    drop(&core);
    EXPECT_EQ(json_object_put(state), 1);
    if (image == NULL)
        fail_msg("it was refused: %s", complaint.text);
    return image;
}
