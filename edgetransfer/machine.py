"""The machine, and which engine runs here."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "edgetransfer",
    "deepsparse",
    "onnxruntime",
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
    from edgetransfer.engines.deepsparse_engine import why_absent
    from edgetransfer.engines.sparse.opening import describe
    from edgetransfer.features import available_cores, default_cache_folder

    absent = why_absent()
    sparse = describe()
    if sparse["absent"] is None:
        kernels = f"its {sparse['kernels']} kernels run here"
        engine = {"name": "sparse", "reason": f"{kernels}; each backbone is tried first"}
    elif absent is None:
        engine = {"name": "deepsparse", "reason": "it is installed; each backbone is tried first"}
    else:
        engine = {"name": "onnxruntime", "reason": absent}
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.machine()}",
        "packages": {name: _version(name) for name in PACKAGES},
        "cpu": {
            "model": _cpu_model(),
            "cores": available_cores(),
            "logical": os.cpu_count(),
            "flags": _cpu_flags(),
        },
        "engine": engine,
        "sparse": sparse,
        "notice": DEEPSPARSE_NOTICE if absent is None else None,
        "backbones": sorted(bundled()),
        "cache": str(default_cache_folder()),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpuinfo() -> list[tuple[str, str]]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    pairs = (line.partition(":") for line in text.splitlines())
    return [(key.strip(), value.strip()) for key, _, value in pairs]


def _cpu_model() -> str:
    return dict(_cpuinfo()).get("model name") or platform.processor() or "unknown"


def _cpu_flags() -> list[str]:
    present = dict(_cpuinfo()).get("flags", "").split()
    return [flag for flag in USEFUL_FLAGS if flag in present]
