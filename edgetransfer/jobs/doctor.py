"""The machine, and which engine runs here."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import cast

from edgetransfer.reports.machine import DoctorRecord

PACKAGES = (
    "edgetransfer",
    "deepsparse",
    "onnxruntime",
    "openvino",
    "onnx",
    "numpy",
    "scikit-learn",
    "pillow",
    "torch",
)
USEFUL_FLAGS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile")


def describe_machine() -> DoctorRecord:
    """Versions, processor, the engine that ``auto`` takes and why; for bug reports too."""
    from edgetransfer.backbones.catalogue import bundled
    from edgetransfer.engines import KINDS, EngineKind, available_cores, saved_plans
    from edgetransfer.engines.processor import cpu_flags, cpu_model
    from edgetransfer.features import default_cache_folder

    absent = {kind.name: kind.why_absent() for kind in KINDS}
    details = {kind.name: kind.describe() for kind in KINDS if kind.describe is not None}

    def usual(kind: EngineKind) -> bool:
        return kind.unmeasured is not None and absent[kind.name] is None

    first = next(kind for kind in KINDS if usual(kind))
    reason = f"{first.unmeasured}; each backbone is tried first"
    kernels = details.get(first.name, {}).get("kernels")
    if kernels is not None:
        reason = f"its {kernels} kernels run here; {reason}"
    passed_over = [absent[kind.name] for kind in KINDS[: KINDS.index(first)] if kind.unmeasured]
    reason = "; ".join([*filter(None, passed_over), reason])
    cache = default_cache_folder()
    report = {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.machine()}",
        "packages": {name: _version(name) for name in PACKAGES},
        "cpu": {
            "model": cpu_model(),
            "cores": available_cores(),
            "logical": os.cpu_count(),
            "flags": [flag for flag in cpu_flags() if flag in USEFUL_FLAGS],
        },
        "engine": {"name": first.name, "reason": reason},
        **details,
        "engines": absent,
        "tuned": [
            {"backbone": name, "engine": plan.engine, "reason": plan.reason}
            for name, plan in saved_plans(cache)
        ],
        "notice": " ".join(k.notice for k in KINDS if k.notice and absent[k.name] is None) or None,
        "backbones": sorted(bundled()),
        "cache": str(cache),
    }
    return cast(DoctorRecord, report)  # engines that have something to say are keys by their names


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
