"""The pipes between processes: how they begin, and whoever is of another release."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetransfer import Extraction
from edgetransfer.errors import EdgeTransferError
from edgetransfer.extract import extract, messages, pool
from edgetransfer.version import __version__
from tests.photos import backbone, photos

__all__ = ["backbone", "photos"]

pytest.importorskip("pyarrow.parquet")

GREETING = f"edgetransfer-extract {messages.FORMAT} {__version__}\n".encode()
# A process of another release: it answers in its own form, and takes whatever it is given.
OTHER = "import sys; sys.stdout.buffer.write({!r}); sys.stdout.flush(); sys.stdin.read()"
STRICT = """
from edgetransfer.extract import member, messages
messages._GREETING = {!r}
member.main()
"""


@pytest.fixture
def settings(photos: Path, backbone: Path, tmp_path: Path) -> Extraction:
    return Extraction(
        data=photos,
        out=tmp_path / "features",
        backbone=str(backbone),
        rows=20,
        engine="onnxruntime",
        threads=2,
        processes=2,
    )


def test_a_pipe_begins_with_format_and_release() -> None:
    pipe = io.BytesIO()
    messages.greet(pipe)
    assert pipe.getvalue() == GREETING
    pipe.seek(0)
    messages.expect_greeting(pipe)
    assert pipe.read() == b""


@given(st.integers(0, len(GREETING) - 1), st.binary(max_size=300))
def test_whatever_else_comes_is_refused_before_it_is_unpickled(kept: int, rest: bytes) -> None:
    """A line that is too long is not waited for to its end; one that is cut off is an end."""
    beginning = GREETING[:kept] + rest
    if beginning.startswith(GREETING):
        return
    pipe = io.BytesIO(beginning)
    with pytest.raises((EOFError, EdgeTransferError)) as raised:
        messages.expect_greeting(pipe)
    cut = b"\n" not in beginning and len(beginning) < messages._LONGEST
    assert isinstance(raised.value, EOFError) is cut
    assert pipe.tell() <= messages._LONGEST


@pytest.mark.parametrize(
    "greeting",
    [
        GREETING.replace(__version__.encode(), b"99.0"),
        GREETING.replace(b" 1 ", b" 2 "),
        b"\x80\x04\x95\n",
        b"x" * 1000,
    ],
)
def test_processes_of_another_release_are_refused(
    greeting: bytes, settings: Extraction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "COMMAND", (sys.executable, "-c", OTHER.format(greeting)))
    with pytest.raises(EdgeTransferError, match=f"{__version__}.*not of one release"):
        extract(settings)
    assert not list(settings.out.glob("*.parquet"))


@pytest.mark.slow
def test_a_process_refuses_tasks_of_another_release(
    settings: Extraction, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And this one, deaf itself, says what the process said."""
    program = STRICT.format(GREETING.replace(b" 1 ", b" 2 "))
    monkeypatch.setattr(pool, "COMMAND", (sys.executable, "-c", program))
    monkeypatch.setattr(pool, "expect_greeting", lambda pipe: pipe.readline())
    with pytest.raises(EdgeTransferError, match=r"exit code 1 .*not of one release"):
        extract(settings)
