"""Speed and quality, measured on the real backbone; not part of the test suite, since machines differ."""
