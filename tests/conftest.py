"""Fixtures that several rooms share."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.graphs_made import fill_light
from tests.jitter import Jitter

# Examples of each property; `make test-all` looks at more (HYPOTHESIS_PROFILE=thorough).
settings.register_profile("fast", max_examples=25, deadline=None)
settings.register_profile("thorough", max_examples=150, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))

# Threads that pause at random, to find what only seldom goes wrong; see tests/jitter.py.
if seed := os.environ.get("EDGETRANSFER_TEST_JITTER"):
    Jitter(int(seed)).start()

REPOSITORY = Path(__file__).resolve().parent.parent

needs_deepsparse = pytest.mark.skipif(
    importlib.util.find_spec("deepsparse") is None,
    reason="DeepSparse is not installed (it exists for CPython up to 3.11 on Linux x86-64)",
)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, None]:
    """What a test printed of names that are not UTF-8 must pass from one process to another."""
    report = (yield).get_result()
    report.sections = [
        (title, text.encode("utf-8", "backslashreplace").decode())
        for title, text in report.sections
    ]


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads or writes the user's own cache."""
    monkeypatch.setenv("EDGETRANSFER_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The data folder beside the repository; see its README."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the shared data folder (../shared/data) is not here")
    return folder


@pytest.fixture(scope="session")
def mobilenet(shared_data: Path) -> Path:
    """MobileNetV1 with ImageNet weights, cut after its global pooling."""
    path = shared_data / "backbones" / "mobilenet_v1_imagenet_dense.onnx"
    if not path.is_file():
        pytest.skip("the shared MobileNetV1 is not here")
    return path


@pytest.fixture(scope="session")
def light(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """An ImageNet graph of the onnx wheel with seeded weights filled in, made once."""
    made: dict[tuple[str, float], Path] = {}

    def make(name: str, sparsity: float = 0.0) -> Path:
        key = (name, sparsity)
        if key not in made:
            path = tmp_path_factory.mktemp("light") / f"{name}.onnx"
            fill_light(name, path, sparsity=sparsity)
            made[key] = path
        return made[key]

    return make


@pytest.fixture(autouse=True)
def _own_log() -> Iterator[None]:
    """A command that runs in this process sets its log up; the next test has its own again."""
    log = logging.getLogger("edgetransfer")
    handlers, propagate, level = log.handlers[:], log.propagate, log.level
    yield
    log.handlers[:], log.propagate = handlers, propagate
    log.setLevel(level)
