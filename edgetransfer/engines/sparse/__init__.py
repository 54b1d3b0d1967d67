"""The project's own CPU engine: it gains from unstructured sparsity, on any Python.

An ONNX graph is read, folded and planned here in Python, handed once to a C++ library as two flat
arrays, and run there. The library has a plain C interface and is called through ctypes, so that
one build serves every CPython, and the interpreter's lock is free while it runs.
"""
