"""Engines: a frozen ONNX graph in, features out."""

from edgetransfer.engines.fake import FakeEngine
from edgetransfer.engines.opening import open_engine, open_streams
from edgetransfer.engines.plan import EnginePlan, Workload, find_plan, save_plan, saved_plans
from edgetransfer.engines.processor import available_cores
from edgetransfer.engines.protocol import Engine, EngineChoice, LayerTime
from edgetransfer.engines.registry import (
    AUTO,
    KINDS,
    EngineKind,
    available_kinds,
    engine_kind,
    engine_names,
    reference_kind,
    result_version,
)
from edgetransfer.engines.speed import batch_seconds, images_per_second

__all__ = [
    "AUTO",
    "KINDS",
    "Engine",
    "EngineChoice",
    "EngineKind",
    "EnginePlan",
    "FakeEngine",
    "LayerTime",
    "Workload",
    "available_cores",
    "available_kinds",
    "batch_seconds",
    "engine_kind",
    "engine_names",
    "find_plan",
    "images_per_second",
    "open_engine",
    "open_streams",
    "reference_kind",
    "result_version",
    "save_plan",
    "saved_plans",
]
