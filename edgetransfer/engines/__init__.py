"""Engines: a frozen ONNX graph in, features out."""

from edgetransfer.engines.fake import FakeEngine
from edgetransfer.engines.opening import open_engine
from edgetransfer.engines.protocol import Engine, EngineChoice
from edgetransfer.engines.registry import KINDS, EngineKind, available_kinds, engine_names
from edgetransfer.engines.speed import batch_seconds, images_per_second

__all__ = [
    "KINDS",
    "Engine",
    "EngineChoice",
    "EngineKind",
    "FakeEngine",
    "available_kinds",
    "batch_seconds",
    "engine_names",
    "images_per_second",
    "open_engine",
]
