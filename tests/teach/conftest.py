"""A classroom of its own for a test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.teach.taught import Taught


@pytest.fixture
def taught(tmp_path: Path) -> Iterator[Taught]:
    started = Taught(tmp_path / "run")
    yield started
    started.close()
