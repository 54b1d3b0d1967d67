"""ONNX knowledge: graphs read, checked, rewritten, folded, cut, frozen and measured."""
