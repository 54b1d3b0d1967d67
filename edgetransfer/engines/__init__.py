"""Engines: a frozen ONNX graph in, features out."""

from edgetransfer.engines.fake import FakeEngine
from edgetransfer.engines.opening import open_engine
from edgetransfer.engines.protocol import Engine, EngineChoice
from edgetransfer.engines.registry import KINDS, EngineKind, available_kinds, engine_names

__all__ = [
    "KINDS",
    "Engine",
    "EngineChoice",
    "EngineKind",
    "FakeEngine",
    "available_kinds",
    "engine_names",
    "open_engine",
]
