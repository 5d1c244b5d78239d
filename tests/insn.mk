# The decoder's differential tests, against independent implementations from Debian.
$(SAN)/tests/unit/insn/test_insn_zydis: TEST_LIBS := -lZydis
$(SAN)/tests/unit/insn/test_insn_differential: TEST_LIBS := -lunicorn
