"""Finetuning of a whole sparse backbone with fixed zeros, in torch, and back to ONNX."""
