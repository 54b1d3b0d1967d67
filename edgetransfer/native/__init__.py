"""The native library: its C++ sources in ``src/``, and compiling them."""
