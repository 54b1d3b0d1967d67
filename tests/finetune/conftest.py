"""Everything here needs torch, which is an extra."""

from __future__ import annotations

import pytest

from tests.photos import backbone, photos

pytest.importorskip("torch", reason="torch is not installed (pip install 'edgetransfer[finetune]')")

__all__ = ["backbone", "photos"]
