# What vmmu report writes is seen in a browser.

TEST_PACKAGES += chromium
