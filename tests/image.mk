# The dumps that the tests make have compressed pages.
$(SAN)/tests/unit/tools_image/test_kdump: TEST_LIBS += -lz
