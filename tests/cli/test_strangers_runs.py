"""Every command that reads a run, given one of a stranger: whatever its files say."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import shutil
import signal
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from numpy.typing import NDArray

from edgetransfer.cli.main import COMMANDS, main
from edgetransfer.heads import LinearHead
from edgetransfer.sealing import sealed
from tests.graphs_made import tiny
from tests.photos import write_photos

READING = {
    "predict": "run photos/test",
    "evaluate": "run photos/test",
    "search": "run photos/test",
    "audit": "run",
    "report": "run",
    "report --compare": "run other --out out.html",
    "serve": "run --port 0",
    "export": "run --out out.onnx",
    "export --merge-head": "run --merge-head --out out",
    "check": "run",
    "rollback": "run --list",
    "forget": "run --class red",
    "relabel": "run --id 0 --to red",
    "train": "--data photos --backbone net.onnx --out run --resume",
    "finetune": "--data photos --backbone net.onnx --out run --resume",
    "stream": "--source folder:photos --once --backbone net.onnx --out run",
    "teach": "run --backbone net.onnx --port 0",
    "analyse": "net.onnx --data run",
}
# Of a run they know nothing, or only where its folder is.
NONE = {
    *("extract", "inspect", "sparsify", "pretrain", "compact", "benchmark", "compare", "tune"),
    *("doctor", "demo", "import", "backbones", "track"),
}
QUICK = ("predict", "evaluate", "report", "audit", "serve", "train", "stream")
ENDINGS = (0, 1, 2, 3, 4)


def test_every_command_is_here() -> None:
    assert {name.split()[0] for name in READING} | NONE == set(COMMANDS)


class Screen(io.StringIO):
    """What is said; once it says where a server listens, the server is told to end."""

    def write(self, text: str) -> int:
        if "open http://" in text:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().write(text)


ODD: tuple[Any, ...] = (None, -1, 0, 10**30, 1e308, "x", "", "\x1b[2J\n", [], {}, ["a"], True)


def changed(value: Any) -> Iterator[Any]:
    """A document with each of its values, at any depth, made odd or left out."""
    places = [
        place
        for place in _places(value)
        # Of many alike one is enough.
        if not any(isinstance(key, int) and key > 0 for key in place)
    ]
    for place in places:
        for odd in (..., *ODD):
            made = json.loads(json.dumps(value))
            at = made
            for key in place[:-1]:
                at = at[key]
            if odd is not ...:
                at[place[-1]] = odd
            elif isinstance(at, dict):
                del at[place[-1]]
            yield made


def _places(value: Any) -> Iterator[tuple[Any, ...]]:
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, inner in items:
        yield (key,)
        for rest in _places(inner):
            yield (key, *rest)


DOCUMENTS = (b"", b"null", b"[]", b"{}", b"3", b"[" * 100_000, b"\xff\xfe", b'{"a": 1e999}', b"\0")


def of_json(content: bytes) -> list[bytes]:
    """Odd forms of a JSON document."""
    odd = [json.dumps(made).encode() for made in changed(json.loads(content))]
    return [*DOCUMENTS, *odd]


def of_lines(content: bytes) -> list[bytes]:
    """Odd forms of JSON Lines."""
    return [form + b"\n" + content for form in of_json(content.partition(b"\n")[0] or b"{}")]


def of_toml(content: bytes) -> list[bytes]:
    """Odd forms of a TOML document."""
    made = []
    for odd in changed(tomllib.loads(content.decode())):
        try:
            made.append(tomli_w.dumps(odd).encode())
        except (TypeError, ValueError, AttributeError):
            continue  # it has no null
    return [b"", b"a", b"\xff", b"[stream]\n", b"[finetune]\n", *made]


def of_labels(content: bytes) -> list[bytes]:
    """Odd forms of a list of names."""
    return [b"", b"\xff\n" + content, content * 1000, b"\x1b[2J\n" * 3, content[:-3]]


def of_heads(content: bytes) -> list[bytes]:
    """Odd heads, whole as files."""
    path = Path("odd.safetensors")
    path.write_bytes(content)
    head = LinearHead.load(path)
    path.unlink()
    arrays: dict[str, NDArray[Any]] = {"weights": head.weights, "bias": head.bias}
    if head.novelty is not None:
        arrays |= head.novelty.tensors()
    made = []
    for name, array in arrays.items():
        others: list[NDArray[Any]] = [
            *(array.astype(np.float64), array.astype(np.int32), array[None], array[:0], array[:-1]),
            np.concatenate([array, array]),
            np.full_like(array, np.nan),
            np.full_like(array, np.inf),
            np.full_like(array, 1e38),
            np.zeros((0, 0), np.float32),
        ]
        made += [sealed({**arrays, name: other}, dict(head.metadata)) for other in others]
        made.append(sealed({k: v for k, v in arrays.items() if k != name}, dict(head.metadata)))
    for name, value in head.metadata.items():
        made.append(sealed(arrays, {k: v for k, v in head.metadata.items() if k != name}))
        texts = ["", "x", "null", "[]", "{}", "-1", "1e999", "\x1b[2J", "[" * 100_000, "9" * 5000]
        with contextlib.suppress(ValueError):
            texts += [json.dumps(odd) for odd in changed(json.loads(value))]
        made += [sealed(arrays, {**head.metadata, name: text}) for text in texts]
    none = np.zeros((len(head.weights), 0), np.float32)
    empty = {"weights": none, "bias": none[0]}
    made.append(sealed(empty, {**head.metadata, "classes": "[]"}))
    return made


FORMS: dict[str, Callable[[bytes], list[bytes]]] = {
    "head.safetensors": of_heads,
    "config.toml": of_toml,
    "report.json": of_json,
    "metrics.jsonl": of_lines,
    "skipped.jsonl": of_lines,
    "data.json": of_json,
    "labels.txt": of_labels,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("place")
    write_photos(place / "photos" / "train", 3, 0)
    write_photos(place / "photos" / "test", 1, 1)
    tiny(size=32).save(place / "net.onnx")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("EDGETRANSFER_CACHE", str(place / "cache"))
        for name in ("whole", "other"):
            words = f"--data photos --backbone net.onnx --out {name} --solver ridge"
            assert main(["train", *words.split(), "--engine", "onnxruntime", "--no-report"]) == 0
    return place


@pytest.mark.parametrize(
    "said",
    [
        {"final": {"top1": "x", "mean_per_class": 1.0}},
        {"final": "x"},
        {"n_test": []},
        {"learned": "x", "final": None},
    ],
)
def test_no_export_believes_a_report(
    said: dict[str, Any], made: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Its card says of accuracy what the report does."""
    monkeypatch.chdir(made)
    shutil.rmtree("run", ignore_errors=True)
    shutil.copytree("whole", "run")
    report = json.loads(Path("run", "report.json").read_text())
    Path("run", "report.json").write_text(json.dumps({**report, **said}))
    assert main(["export", "run", "--out", "out"]) == 1
    assert "report.json: damaged" in capsys.readouterr().err
    assert not Path("out").exists()


@pytest.mark.parametrize("share", [0.0, pytest.param(0.1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", FORMS)
def test_whatever_a_file_says(
    name: str,
    share: float,
    made: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(made)
    monkeypatch.setenv("EDGETRANSFER_CACHE", str(made / "cache"))
    rng = random.Random(0)
    forms = FORMS[name]((made / "whole" / name).read_bytes())
    commands = [command for command in READING if share or command in QUICK]
    cases = [(command, form) for form in forms for command in commands]
    for command, form in rng.sample(cases, max(6, int(share * len(cases)))):
        shutil.rmtree("run", ignore_errors=True)
        shutil.copytree("whole", "run")
        Path("run", name).write_bytes(form)
        screen = Screen()
        monkeypatch.setattr("sys.stdout", screen)
        monkeypatch.setattr("sys.stderr", screen)
        try:
            code = main([command.split()[0], *READING[command].split()])
        except Exception as error:
            raise AssertionError(f"{command}, {name}: {form[:3000]!r}") from error
        assert code in ENDINGS, (command, form[:3000])
        said = screen.getvalue()
        assert "\x1b[2J" not in said, (command, form[:3000], said)
        assert code == 0 or "error: " in said, (command, form[:3000], said)
        for path in ("out.onnx", "out", "out.html"):
            shutil.rmtree(path) if Path(path).is_dir() else Path(path).unlink(missing_ok=True)
