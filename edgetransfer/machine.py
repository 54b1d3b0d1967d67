"""The machine, and which engine runs here."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

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
DEEPSPARSE_NOTICE = (
    "DeepSparse's licence allows development, test and evaluation, not production; it has reached "
    "its end of life. --engine sparse and onnxruntime need neither."
)


def describe_machine() -> dict[str, Any]:
    """Versions, processor, the engine that ``auto`` takes and why; for bug reports too."""
    from edgetransfer.backbones.catalogue import bundled
    from edgetransfer.engines import KINDS, EngineKind, available_cores, saved_plans
    from edgetransfer.engines.deepsparse_engine import why_absent
    from edgetransfer.engines.processor import cpu_flags, cpu_model
    from edgetransfer.engines.sparse.opening import describe
    from edgetransfer.features import default_cache_folder

    absent = why_absent()
    sparse = describe()

    def usual(kind: EngineKind) -> bool:
        return kind.unmeasured is not None and kind.why_absent() is None

    first = next(kind for kind in KINDS if usual(kind))
    reason = f"{first.unmeasured}; each backbone is tried first"
    if first.name == "sparse":
        reason = f"its {sparse['kernels']} kernels run here; {reason}"
    elif not first.aborts:
        reason = absent or reason
    cache = default_cache_folder()
    return {
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
        "sparse": sparse,
        "engines": {kind.name: kind.why_absent() for kind in KINDS},
        "tuned": [
            {"backbone": name, "engine": plan.engine, "reason": plan.reason}
            for name, plan in saved_plans(cache)
        ],
        "notice": DEEPSPARSE_NOTICE if absent is None else None,
        "backbones": sorted(bundled()),
        "cache": str(cache),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
