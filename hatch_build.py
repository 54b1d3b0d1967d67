"""Compiles the native library into the wheel, or leaves it out without a compiler.

The library has a C interface and no part of Python in it, so that one wheel for each platform
serves every CPython. An editable install compiles it in place.
"""

from __future__ import annotations

import runpy
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

COMPILING = Path("edgetransfer/native/compiling.py")


class NativeLibraryHook(BuildHookInterface[Any]):
    """Runs before a wheel is built."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile the library if its sources are newer, and name the wheel for its platform."""
        compiling = runpy.run_path(str(Path(self.root) / COMPILING))
        if not compiling["is_current"]():
            try:
                compiling["compile_library"]()
            except compiling["CompileError"] as error:
                self.app.display_warning(f"The native library is left out: {error}")
                return
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform}"
        if version != "editable":
            build_data["artifacts"].append(str(compiling["LIBRARY"].relative_to(self.root)))
