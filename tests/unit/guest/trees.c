/* Device trees from dtc. */
#include "tests/unit/guest/trees.h"

#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MUST(condition) ((condition) ? (void)0 : abort())

const char tree_example[] = "/dts-v1/;\n"
                            "/memreserve/ 0x1000 0x2000;\n"
                            "/memreserve/ 0x123400000 0x10;\n"
                            "/ {\n"
                            "  #address-cells = <2>; #size-cells = <1>; empty; name-of-it = \"the root\";\n"
                            "  memory@0 { reg = <0 0x100 0x1000  0xf 0x200 0x2000>; };\n"
                            "  soc@fe0000000 {\n"
                            "    #address-cells = <1>; #size-cells = <1>;\n"
                            "    serial@4500 { compatible = \"one\", \"ns16550\"; reg = <0x4500 0x100>; };\n"
                            "    serial@4600 { compatible = \"ns16550\"; reg = <0x4600 0x100>; };\n"
                            "  };\n"
                            "  serial { compatible = \"ns16550a\"; };\n"
                            "  deep { a { b { c { number = <0x1 0x2>; odd = [01 02 03]; }; }; }; };\n"
                            "};\n";

/* Run @command, and read what it prints: a tree. */
static struct tree run(const char *command)
{
    FILE *pipe = popen(command, "r");
    struct tree tree = { malloc(1 << 20), 0 };
    uint8_t *exact;

    MUST(pipe != NULL && tree.bytes != NULL);
    tree.size = (uint32_t)fread(tree.bytes, 1, 1 << 20, pipe);
    MUST(pclose(pipe) == 0);
    MUST(tree.size != 0);
    exact = malloc(tree.size);
    MUST(exact != NULL);
    memcpy(exact, tree.bytes, tree.size);
    free(tree.bytes);
    tree.bytes = exact;
    return tree;
}

struct tree tree_compile(const char *path)
{
    char command[256];

    MUST(snprintf(command, sizeof(command), "dtc -q -O dtb %s", path) < (int)sizeof(command));
    return run(command);
}

struct tree tree_of(const char *source)
{
    char path[] = "/tmp/vmmu-tree-XXXXXX";
    const int file = mkstemp(path);
    const size_t length = strlen(source);
    struct tree tree;

    MUST(file >= 0);
    MUST(write(file, source, length) == (ssize_t)length);
    close(file);
    tree = tree_compile(path);
    unlink(path);
    return tree;
}

void tree_free(struct tree *tree)
{
    free(tree->bytes);
    *tree = (struct tree){ 0 };
}

struct fdt tree_open(const struct tree *tree)
{
    struct fdt fdt;
    const char *error = NULL;

    if (fdt_open(tree->bytes, tree->size, &fdt, &error) != VMMU_OK)
        fail_msg("%s", error);
    return fdt;
}
