"""Everything here needs torch, which is an extra."""

from __future__ import annotations

import pytest

from tests.photos import backbone, photos

__all__ = ["backbone", "photos"]


def pytest_pycollect_makemodule() -> None:
    """Skip each module, by a hook: a conftest that skips is a traceback where it is named."""
    pytest.importorskip(
        "torch", reason="torch is not installed (pip install 'edgetransfer[finetune]')"
    )
