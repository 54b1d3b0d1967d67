"""What a notebook meets: every job by name, help with an example, short reprs, nothing heavy."""

from __future__ import annotations

import ast
import doctest
import inspect
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import edgetransfer
from edgetransfer.cli.main import app
from edgetransfer.errors import UsageError
from edgetransfer.reprs import LONGEST
from edgetransfer.settings.assembling import every_setting
from edgetransfer.settings.command_line import in_python
from edgetransfer.settings.finetune import TrainingToo
from tests.photos import write_photos

COMMANDS = {
    "train": "train_linear",
    "finetune": "finetune_backbone",
    "stream": "run_stream",
    "evaluate": "evaluate",
    "predict": "predict",
    "inspect": "inspect_backbone",
    "sparsify": "sparsify_backbone",
    "pretrain": "pretrain_backbone",
    "compact": "compact_backbone",
    "benchmark": "run_benchmark",
    "compare": "compare_backbones",
    "analyse": "analyse_networks",
    "tune": "tune_backbone",
    "doctor": "describe_machine",
    "demo": "run_demo",
    "export": "export",
    "check": "check_stream",
    "rollback": "rollback_stream",
    "forget": "forget_samples",
    "relabel": "relabel_samples",
    "import": "import_backbone",
    "audit": "audit_photos",
    "extract": "extract_features",
    "search": "search_photos",
    "track": "track_run",
    "report": "write_page",
    "serve": "serve_run",
    "teach": "teach_classifier",
}
FUNCTIONS = [
    name for name in edgetransfer.__all__ if inspect.isfunction(getattr(edgetransfer, name))
]
OF_SETTINGS = {
    "train_linear": ("LinearTraining",),
    "finetune_backbone": ("LinearTraining", "FinetuneSettings"),
    "run_stream": ("StreamSettings",),
    "sparsify_backbone": ("Sparsification",),
    "pretrain_backbone": ("Pretraining",),
    "compact_backbone": ("Compaction",),
    "import_backbone": ("ImportSettings",),
    "run_benchmark": ("BenchmarkSettings",),
    "compare_backbones": ("ComparisonSettings",),
    "analyse_networks": ("AnalysisSettings",),
    "audit_photos": ("AuditSettings",),
    "extract_features": ("Extraction",),
    "search_photos": ("SearchSettings",),
    "track_run": ("TrackSettings",),
    "serve_run": ("ServeSettings",),
    "teach_classifier": ("TeachSettings",),
}

BESIDE_ARGUMENTS = {
    "inspect_backbone": "Inspection",
    "tune_backbone": "Tuning",
    "export": "ExportSettings",
    "predict": "PredictSettings",
    "evaluate": "RunTest",
}

SHOWN = {("finetune_backbone", "LinearTraining"): TrainingToo}


def small_network() -> onnx.ModelProto:
    """Two convolutions, pooled, and a classifier of three outputs: 32 pixels in, 16 features."""
    rng = np.random.default_rng(0)
    shapes = {"first": (8, 3, 3, 3), "second": (16, 8, 3, 3), "head": (3, 16)}
    weights = {n: rng.normal(0, 0.3, shape).astype(np.float32) for n, shape in shapes.items()}
    nodes = [
        helper.make_node("Conv", ["x", "first"], ["a"], strides=[2, 2]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "second"], ["c"]),
        helper.make_node("Relu", ["c"], ["d"]),
        helper.make_node("GlobalAveragePool", ["d"], ["e"]),
        helper.make_node("Flatten", ["e"], ["features"]),
        helper.make_node("Gemm", ["features", "head"], ["logits"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", 3, 32, 32])],
        [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["N", 3])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    return model


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the examples name: photos, a network, a run, a stream's run."""
    folder = tmp_path_factory.mktemp("examples")
    write_photos(folder / "photos" / "train", 20, seed=0)
    write_photos(folder / "photos" / "test", 5, seed=1)
    onnx.save(small_network(), folder / "small.onnx")
    (folder / "labels.txt").write_text("red\ngreen\nblue\n")
    edgetransfer.train_linear(
        data=folder / "photos",
        out=folder / "run",
        backbone="tinyresnet-90",
        cache_dir=folder / "cache",
    )
    shutil.copytree(folder / "run", folder / "other")
    edgetransfer.run_stream(
        source=f"folder:{folder / 'photos' / 'train'}",
        once=True,
        out=folder / "live",
        backbone=str(folder / "small.onnx"),
    )
    return folder


@pytest.fixture
def place(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, to work in."""
    shutil.copytree(prepared, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("EDGETRANSFER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "here"


def examples_of(name: str) -> doctest.DocTest:
    """The examples in a name's docstring; of a class, in its own, not in its methods'."""
    thing = getattr(edgetransfer, name)
    finder = doctest.DocTestFinder(recurse=False)
    (found,) = finder.find(thing, name, module=False, globs={})
    return found


@pytest.mark.parametrize("name", edgetransfer.__all__)
def test_help_says_what_it_is_with_an_example(name: str) -> None:
    text = inspect.getdoc(getattr(edgetransfer, name)) or ""
    assert len(text.splitlines()[0]) > 20
    assert ">>> " in text, f"{name}: its docstring has no example"
    if name in FUNCTIONS:
        returned = str(inspect.signature(getattr(edgetransfer, name)).return_annotation)
        plain = {"Path", "Comparison", "Check", "SavedState", "RolledBack"}
        named = set(re.findall(r"\w+", returned))
        assert named & {*edgetransfer.__all__, *plain}, f"{name} returns {returned}"


@pytest.mark.slow
@pytest.mark.parametrize("name", edgetransfer.__all__)
def test_the_example_runs(name: str, place: Path) -> None:
    if name == "finetune_backbone":
        pytest.importorskip("torch")
    examples = examples_of(name)
    assert examples.examples
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    said: list[str] = []
    runner.run(examples, out=said.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(said)


def test_every_command_is_a_function() -> None:
    import typer

    commands = set(typer.main.get_command(app).commands) - {"backbones"}  # type: ignore[attr-defined]
    assert commands == set(COMMANDS), "give the new command a function in edgetransfer.api"
    assert set(COMMANDS.values()) <= set(edgetransfer.__all__)
    assert {"list_backbones", "get_backbone", "list_checkpoints"} <= set(edgetransfer.__all__)


def test_the_lists_of_names_agree() -> None:
    assert len(set(edgetransfer.__all__)) == len(edgetransfer.__all__)
    assert {"features", *edgetransfer._HOMES} == set(edgetransfer.__all__)


def test_type_checkers_know_the_names_that_there_are() -> None:
    tree = ast.parse(Path(edgetransfer.__file__).read_text("utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    known = {
        alias.asname: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert known == {"features": "edgetransfer", **edgetransfer._HOMES}
    assert set(edgetransfer.__all__) == set(dir(edgetransfer))


@pytest.mark.parametrize("name", [*OF_SETTINGS, *BESIDE_ARGUMENTS, "evaluate_backbone"])
def test_completion_and_help_know_every_setting(name: str) -> None:
    function = getattr(edgetransfer, name)
    named = OF_SETTINGS.get(name) or (BESIDE_ARGUMENTS.get(name, "ClassifierTest"),)
    kinds = [SHOWN.get((name, kind), getattr(edgetransfer, kind)) for kind in named]
    parameters = inspect.signature(function).parameters
    for setting in (one for kind in kinds for one in every_setting(kind)):
        assert setting.name in parameters
        if not setting.required:
            assert parameters[setting.name].default == setting.default
    assert "\nSettings\n--------\n" in str(function.__doc__)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_help_speaks_of_settings_as_python_does(name: str) -> None:
    text = str(inspect.getdoc(getattr(edgetransfer, name)))
    assert not re.findall(r"(?<![\w-])--[a-z][\w-]*", text)


def test_an_option_is_called_as_its_setting_is() -> None:
    settings = [*every_setting(TrainingToo), *every_setting(edgetransfer.FinetuneSettings)]
    said = in_python(
        "as --threads, --no-flip, --no-head-bias; --batch-size 3 of --nothing-here", settings
    )
    assert said == "as threads, flip=False, head_bias=False; batch_size 3 of nothing_here"
    said = in_python("--cached or --online", every_setting(edgetransfer.LinearTraining))
    assert said == "mode='cached' or mode='online'"


@pytest.mark.parametrize("name", OF_SETTINGS)
def test_names_that_there_are_not_are_refused_with_the_nearest(name: str) -> None:
    function = getattr(edgetransfer, name)
    first = next(iter(every_setting(getattr(edgetransfer, OF_SETTINGS[name][0])))).name
    with pytest.raises(UsageError, match=rf"no setting '{first}s'; did you mean {first}\?"):
        function(**{f"{first}s": "run"})
    with pytest.raises(UsageError, match=r"^give "):
        function()


@pytest.mark.parametrize("name", BESIDE_ARGUMENTS)
def test_the_same_beside_arguments(name: str) -> None:
    function = getattr(edgetransfer, name)
    required = [p for p in inspect.signature(function).parameters.values() if p.default is p.empty]
    with pytest.raises(UsageError, match=r"no setting 'backbones'; did you mean backbone\?"):
        function(*("x" for _ in required), backbones="run")


def test_what_a_finetuning_has_not_is_refused() -> None:
    with pytest.raises(UsageError, match="no setting 'solver'"):
        edgetransfer.finetune_backbone(data="photos", out="run", solver="lda")
    text = str(edgetransfer.finetune_backbone.__doc__)
    assert "Default: 20; 150 by the paper's recipe." in text
    assert "\nonly = 'all' (all, batchnorm, bias, last-block)\n" in text


def test_settings_are_an_object_or_names_and_not_both() -> None:
    settings = edgetransfer.LinearTraining(data="photos", out="run")
    with pytest.raises(UsageError, match="give settings or epochs, not both"):
        edgetransfer.train_linear(settings, epochs=3)


REPORTS: dict[str, dict[str, Any]] = {
    "TrainingReport": {"n_classes": 2, "solver": "lda", "honest": {"top1": 0.5}, "epochs": [{}]},
    "Evaluation": {"n": 3, "top1": 0.5, "mean_per_class": 0.25},
    "StreamReport": {"accepted": 3, "classes": 2, "prequential": {"top1": None}},
    "SparsityReport": {"sparsity": 0.5, "speed": None},
    "BackboneReport": {"sparsity": 0.5},
    "BenchmarkReport": {"rows": [{}] * 3, "epochs": 2, "seeds": 1},
    "ExportReport": {"out": "o" * 5000, "classes": 3},
    "Report": {"a" * 300: 1, "b": list(range(10_000))},
}


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_is_its_dictionary_and_shows_a_line(name: str) -> None:
    kind = getattr(edgetransfer, name)
    values = {**REPORTS[name], "curve": list(range(5000)), "warnings": ["w" * 1000]}
    report = kind(values)
    assert report == values
    assert json.loads(json.dumps(report)) == values
    assert repr(report).startswith(f"{name}(")
    assert len(repr(report)) <= LONGEST
    assert "\n" not in repr(report)
    assert report.warnings == ("w" * 1000,)


VALIDATED = {"val_top1": 0.1, "val_mean_per_class": 0.1}
FINETUNED = {
    "final": None,
    "epochs": [VALIDATED],
    "linear": {"on": "validation", "top1": 0.4, "mean_per_class": 0.4},
    "finetuned": {"on": "validation", "top1": 0.3, "mean_per_class": 0.3},
}


@pytest.mark.parametrize(
    ("report", "top1"),
    [
        ({"final": {"top1": 0.9}, "epochs": [VALIDATED], "honest": {"top1": 0.2}}, 0.9),
        ({"final": None, "epochs": [{}, VALIDATED], "honest": {"top1": 0.2}}, 0.1),
        ({"final": None, "epochs": [{}], "honest": {"top1": 0.2}}, 0.2),
        ({"final": None, "epochs": [{}], "honest": {"n": 0}}, None),
        ({"final": None, "epochs": []}, None),
        ({**FINETUNED, "kept": "finetuned"}, 0.3),
        ({**FINETUNED, "kept": "linear"}, 0.4),
        ({**FINETUNED, "kept": "linear", "final": {"top1": 0.9}}, 0.9),
        ({**FINETUNED, "kept": "finetuned", "finetuned": None}, 0.1),
    ],
)
def test_the_accuracy_of_a_training_is_of_what_it_holds_on_what_it_has_not_seen(
    report: dict[str, Any], top1: float | None
) -> None:
    assert edgetransfer.TrainingReport(report).top1 == top1


def test_the_names_are_light_until_they_are_called() -> None:
    program = (
        "import sys, edgetransfer\n"
        "light = sorted(m for m in sys.modules if m.startswith('edgetransfer'))\n"
        "help_text = edgetransfer.train_linear.__doc__\n"
        "heavy = [m for m in ('numpy', 'onnx', 'PIL', 'torch', 'scipy') if m in sys.modules]\n"
        "print(light, heavy)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "['edgetransfer', 'edgetransfer.version'] []", done.stderr
