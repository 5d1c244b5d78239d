# The decoder of PowerPC's loads and stores beside an independent processor, and device trees beside their own library.
$(SAN)/tests/unit/ppc_insn/test_ppc_insn_differential: TEST_LIBS := -lunicorn
$(SAN)/tests/unit/guest/test_fdt $(SAN)/tests/unit/guest/test_fdt_edit $(SAN)/tests/unit/guest/test_e500_tree: TEST_LIBS := -lfdt
