"""Every setting is an option or says why not, and what is typed arrives in the setting."""

from __future__ import annotations

import contextlib
import functools
import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import example, given
from hypothesis import strategies as st

import edgetransfer.settings
from edgetransfer.cli.main import main
from edgetransfer.cli.signature import as_options, offered
from edgetransfer.errors import UsageError
from edgetransfer.settings.assembling import assembled
from edgetransfer.settings.audit import AuditSettings
from edgetransfer.settings.benchmark import BenchmarkSettings, SyntheticFamily
from edgetransfer.settings.command_line import typed
from edgetransfer.settings.compact import Compaction
from edgetransfer.settings.extract import SHARE, Extraction
from edgetransfer.settings.finetune import FinetuneSettings
from edgetransfer.settings.forms import AUTOMATIC, BYTES, TRIPLE, WORDS
from edgetransfer.settings.import_ import ImportSettings
from edgetransfer.settings.option import NoOption, Opt, Setting, settings_of
from edgetransfer.settings.policies import OPTIONS, POLICIES, PolicyRecord
from edgetransfer.settings.pretrain import Pretraining
from edgetransfer.settings.serve import ServeSettings
from edgetransfer.settings.sparsify import Pattern, Sparsification
from edgetransfer.settings.stream import StreamSettings
from edgetransfer.settings.teach import TeachSettings
from edgetransfer.settings.train import LinearTraining

HERE = Path("/nowhere")
# What each command cannot do without, and values that allow any other.
LEAST: dict[type, dict[str, Any]] = {
    LinearTraining: {"data": HERE / "photos", "out": HERE / "run"},
    FinetuneSettings: {},
    StreamSettings: {"source": ("folder:in",), "out": HERE / "run"},
    Sparsification: {"dense": "d.onnx", "out": HERE / "s.onnx", "calibration": HERE / "c"},
    BenchmarkSettings: {"data": (HERE / "photos",), "out": HERE / "b", "baseline": "d.onnx"},
    Pretraining: {"data": HERE / "photos", "out": HERE / "o.onnx"},
    Compaction: {"backbone": "b.onnx", "out": HERE / "o.onnx"},
    AuditSettings: {"source": HERE / "photos"},
    Extraction: {"data": HERE / "photos", "out": HERE / "features"},
    ServeSettings: {"run": HERE / "run"},
    TeachSettings: {"run": HERE / "run"},
    ImportSettings: {"source": HERE / "c.pt", "out": HERE / "o.onnx"},
}
# Values that a setting needs beside it.
WITH: dict[tuple[type, str], dict[str, Any]] = {
    (LinearTraining, "mode"): {"solver": "sgd"},
    (FinetuneSettings, "cached_frozen"): {"only": "last-block"},
    (ImportSettings, "download"): {"source": None},
    (Pretraining, "labels"): {"dense": "d.onnx"},
    # An option of one policy is refused by the others.
    **{
        (Pretraining, name): {"policy": next(n for n, p in POLICIES.items() if name in p.options)}
        for name in OPTIONS
    },
}
COMMANDS = pytest.mark.parametrize("kind", list(LEAST), ids=lambda kind: kind.__name__)
# A value that the rule below does not find: of a text that is checked, or in step with others.
VALUES: dict[str, Any] = {
    "pattern": "2:4",
    "phases": "2,1,1,2,3",
    "levels": "40,2:4",
    "one_shot": "30,60",
    "prune_from": 0.25,
    "prune_until": 0.5,
    "threshold_start": -3.5,
    "tile": 16,
    "stretch": 2.0,
    "distributions": ("erk", "uniform"),
    "synthetic": (SyntheticFamily.parse("resnet18:0.8,0.9"),),
    "mode": "online",
    "solver": "ridge",
    "partition": (2, 3),
    "mean": (0.1, 0.25, 0.5),
    "std": (0.1, 0.25, 0.5),
    "momentum": 0.25,
    "sparsity": 0.5,
    "target_speedup": 1.5,
    "metrics_port": 9000,
    "manifest": HERE / "m.csv",
}


def classes() -> Iterator[type]:
    """All settings classes of the room."""
    for module in pkgutil.iter_modules(edgetransfer.settings.__path__):
        if module.name == "option":
            continue
        loaded = importlib.import_module(f"edgetransfer.settings.{module.name}")
        for value in vars(loaded).values():
            own = isinstance(value, type) and value.__module__ == loaded.__name__
            if (
                own
                and is_dataclass(value)
                and value not in (SyntheticFamily, Pattern, PolicyRecord)
            ):
                yield value  # those are values, no settings


def other(setting: Setting) -> Any:
    """A value that is allowed and is not the default."""
    if setting.name in VALUES:
        return VALUES[setting.name]
    opt, default = setting.said, setting.default
    assert isinstance(opt, Opt)
    if setting.choices:
        value = next(c for c in reversed(setting.choices) if c != default and (c,) != default)
        return (value,) if setting.item is not None else value
    if setting.item is not None:
        return (setting.item("a"), setting.item("b"))
    if setting.kind is bool:
        return not default
    if setting.kind is int:
        return 7 if opt.parse is None else 3 * 2**20
    if setting.kind is float:
        return 0.125
    return setting.kind("/nowhere/else") if setting.kind is Path else "word"


@functools.cache
def reader(kind: Any) -> tuple[Any, list[Any]]:
    """A command that takes settings, and where they go."""
    got: list[Any] = []

    def command(settings: Any) -> None:
        got.append(settings)

    command.__annotations__["settings"] = kind
    app = typer.Typer()
    app.command()(as_options(command))
    return typer.main.get_command(app), got


def parsed(kind: Any, arguments: list[str]) -> Any:
    """The settings that a command gets of arguments."""
    command, got = reader(kind)
    command.main(args=arguments, standalone_mode=False)
    return got.pop()


@pytest.mark.parametrize("kind", list(classes()), ids=lambda kind: kind.__name__)
def test_a_setting_is_an_option_or_says_why_not(kind: type) -> None:
    for setting in settings_of(kind):
        if setting.is_group:
            continue
        assert setting.said is not None, f"{setting.name}: write Opt(...) or NoOption(why) beside"
        if isinstance(setting.said, NoOption):
            assert len(setting.said.why.split()) > 3


@COMMANDS
def test_what_is_not_typed_is_the_setting_that_is_not_given(kind: type) -> None:
    least = LEAST[kind]
    known = {setting.name: setting for setting in offered(kind)}
    arguments = [part for name, value in least.items() for part in typed(known[name], value)]
    assert parsed(kind, arguments) == assembled(kind, least)


@COMMANDS
def test_what_is_typed_arrives_in_its_setting_alone(kind: type) -> None:
    known = {setting.name: setting for setting in offered(kind)}
    for setting in known.values():
        value = other(setting)
        given = {**LEAST[kind], **WITH.get((kind, setting.name), {})}
        given = {n: v for n, v in given.items() if n != setting.name and v is not None}
        rest = [part for name, one in given.items() for part in typed(known[name], one)]
        found = parsed(kind, [*rest, *typed(setting, value)])
        assert found == assembled(kind, {**given, setting.name: value}), setting.name
        assert value != setting.default, f"{setting.name}: this shows nothing"


@COMMANDS
def test_paths_and_strings_are_taken_for_one_another(kind: type) -> None:
    for setting in offered(kind):
        inner = setting.item or setting.kind
        if inner not in (str, Path) or (isinstance(setting.said, Opt) and setting.said.parse):
            continue
        given = {**LEAST[kind], **WITH.get((kind, setting.name), {})}
        known = VALUES.get(setting.name)
        word = known if isinstance(known, str) else "a"
        word = "a.csv" if setting.name == "manifest" else word
        made = [assembled(kind, {**given, setting.name: form(word)}) for form in (str, Path)]
        assert made[0] == made[1], setting.name
        listed = assembled(kind, {**given, setting.name: [word]}) if setting.item else made[0]
        assert listed == made[0], setting.name


@COMMANDS
def test_a_choice_that_there_is_not_is_refused(kind: type) -> None:
    for setting in offered(kind):
        if setting.choices:
            with pytest.raises(UsageError, match="one of"):
                assembled(kind, {**LEAST[kind], setting.name: "plaid"})


@COMMANDS
def test_a_number_beyond_its_bounds_is_refused(kind: type) -> None:
    for setting in offered(kind):
        for value in beyond(setting):
            with pytest.raises(UsageError, match=setting.flag):
                assembled(kind, {**LEAST[kind], setting.name: value})


def beyond(setting: Setting) -> Iterator[float]:
    """A number on the wrong side of each bound, and what is no number."""
    opt = setting.said
    assert isinstance(opt, Opt)
    if opt.least is not None:
        yield opt.least - 1
    if opt.above is not None:
        yield from (opt.above, float("inf"))
    if opt.most is not None:
        yield opt.most + 1
    if setting.kind is float and (opt.least, opt.above) != (None, None):
        yield float("nan")


@pytest.mark.parametrize(
    "options",
    [("--solver", "plaid"), ("--engine", "abacus"), ("--epochs", "0"), ("--max-bad", "2")],
)
def test_the_command_line_refuses_them_before_it_looks_at_anything(options, capsys) -> None:  # type: ignore[no-untyped-def]
    assert main(["train", "--data", "nowhere", "--out", "nowhere", *options]) == 2
    assert options[0] in capsys.readouterr().err


@given(size=st.integers(0, 2**50))
def test_sizes_are_read_as_they_are_written(size: int) -> None:
    assert BYTES.read("--memory", str(BYTES.write(size))) == size


@pytest.mark.parametrize(
    ("text", "size"),
    [("64M", 2**26), ("1.5g", 3 * 2**29), ("7", 7), ("2GiB", 2**31), ("1kB", 1024)],
)
def test_sizes_as_people_write_them(text: str, size: int) -> None:
    assert BYTES.read("--memory", text) == size


finite = st.floats(allow_nan=False, allow_infinity=False)


@given(three=st.tuples(finite, finite, finite), one=st.none() | finite)
def test_numbers_are_read_as_they_are_written(
    three: tuple[float, float, float], one: float | None
) -> None:
    assert TRIPLE.read("--mean", str(TRIPLE.write(three))) == three
    assert AUTOMATIC.read("--l2", str(AUTOMATIC.write(one))) == one


@given(st.text(max_size=12))
@example("nan")
@example("1e999")
@example("0x10")
def test_a_text_is_read_as_what_is_written_again_or_refused(text: str) -> None:
    for form in (BYTES, AUTOMATIC, TRIPLE, SHARE):
        with contextlib.suppress(UsageError):
            value = form.read("--option", text)
            assert repr(form.read("--option", str(form.write(value)))) == repr(value)
    assert ",".join(WORDS.read("--engines", text)) == text


def test_the_room_is_light() -> None:
    modules = [
        f"edgetransfer.settings.{m.name}"
        for m in pkgutil.iter_modules(edgetransfer.settings.__path__)
    ]
    program = (
        f"import sys, {', '.join(modules)}\n"
        "print([m for m in ('numpy', 'onnx', 'PIL', 'typer', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
