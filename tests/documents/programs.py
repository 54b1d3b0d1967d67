"""The programs under ``docs/programs``, as modules; ``docs`` is no package."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

from tests.conftest import REPOSITORY


def program(name: str) -> ModuleType:
    """``docs/programs/NAME.py``, loaded once."""
    known = f"docs_programs_{name}"
    if known not in sys.modules:
        path = REPOSITORY / "docs" / "programs" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(known, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[known] = module  # dataclasses look their module up
        spec.loader.exec_module(module)
    return sys.modules[known]
