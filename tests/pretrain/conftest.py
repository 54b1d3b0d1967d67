"""Everything here needs torch, which is an extra."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="torch is not installed (pip install 'edgetransfer[finetune]')")
