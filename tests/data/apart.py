"""Stores in a process of their own: their libraries read the environment once and keep it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

LISTED = """
import sys
from pathlib import Path
from edgetransfer.data import load_data
from edgetransfer.errors import EdgeTransferError
from edgetransfer.images import SUFFIXES
try:
    found = load_data(Path(sys.argv[1]), suffixes=SUFFIXES)
except EdgeTransferError as error:
    sys.exit(f"{type(error).__name__}: {error}")
print(sum(len(s.read()) for part in (found.train, found.val, found.test) for s in part))
"""
"""Prints how many bytes the photos at an address have, or ends in what is wrong with it."""


def apart(
    program: str, *arguments: object, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a program of Python with its environment."""
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
