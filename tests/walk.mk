# The walker's differential tests run on libunicorn's processor.
$(SAN)/tests/unit/diff_walk/%: TEST_LIBS := -lunicorn
