"""Engines: a frozen ONNX graph in, features out."""

from edgetransfer.engines.fake import FakeEngine
from edgetransfer.engines.opening import EngineName, open_engine
from edgetransfer.engines.protocol import Engine, EngineChoice

__all__ = ["Engine", "EngineChoice", "EngineName", "FakeEngine", "open_engine"]
