"""A network's own classifier on labelled photos: classes matched, accuracy worked out by hand."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from edgetransfer.cli.main import main
from edgetransfer.errors import BackboneError, DataError
from edgetransfer.settings.evaluate import ClassifierTest
from edgetransfer.train.class_names import IMAGENET, match_classes, wnid_of
from edgetransfer.train.upstream import evaluate_upstream

SIDE = 16
COLOURS = {"blue": (0, 0, 255), "green": (0, 255, 0), "red": (255, 0, 0)}


def colour_network(path, outputs, *, softmax=False, classifier=True):
    """A network whose scores are the photo's mean colours in some order, others far below.

    ``outputs`` gives the colour (0 red, 1 green, 2 blue) of each output, None for none.
    """
    weight = np.zeros((len(outputs), 3), np.float32)
    bias = np.full(len(outputs), -9, np.float32)
    for row, colour in enumerate(outputs):
        if colour is not None:
            weight[row, colour], bias[row] = 1, 0
    kernel = np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["c"]),
        helper.make_node("GlobalAveragePool", ["c"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
    ]
    last = "f"
    if classifier:
        nodes.append(helper.make_node("Gemm", ["f", "weight", "bias"], ["logits"], transB=1))
        last = "logits"
    if softmax:
        nodes.append(helper.make_node("Softmax", [last], ["probabilities"], axis=1))
        last = "probabilities"
    columns = len(outputs) if classifier else 3
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, ["N", columns])],
        [
            numpy_helper.from_array(kernel, "kernel"),
            *(
                [
                    numpy_helper.from_array(weight, "weight"),
                    numpy_helper.from_array(bias, "bias"),
                ]
                if classifier
                else []
            ),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, str(path))
    path.with_suffix(".toml").write_text(
        f"name = 'colours'\nsize = {SIDE}\nresize = {SIDE}\n"
        "mean = [0.0, 0.0, 0.0]\nstd = [1.0, 1.0, 1.0]\n"
    )
    return path


def photo(path, colour):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 20), colour).save(path)


def class_folders(root, names):
    """Two photos a class, of the colour that the name stands for."""
    for name, colour in names.items():
        for number in range(2):
            photo(root / name / f"{number}.png", COLOURS[colour])


@pytest.mark.parametrize("softmax", [False, True])
def test_as_many_classes_as_outputs_are_taken_in_order(tmp_path, softmax):
    # blue, green, red in alphabetical order
    network = colour_network(tmp_path / "net.onnx", [2, 1, 0], softmax=softmax)
    class_folders(tmp_path / "data", {name: name for name in COLOURS})
    result = evaluate_upstream(network, tmp_path / "data", ClassifierTest(batch_size=4))
    assert (result["top1"], result["top5"], result["n"]) == (1, 1, 6)
    assert (result["matched_by"], result["split"]) == ("alphabetical order", "all")


def test_a_wrong_order_is_scored_as_wrong_and_top_five_counts_rank(tmp_path):
    # Outputs 0 to 2 are wrong by one place; of seven outputs, the first five are the colours
    # and two of those that never win.
    network = colour_network(tmp_path / "net.onnx", [1, 0, 2, None, None, None, None])
    labels = tmp_path / "labels.txt"
    labels.write_text("red\ngreen\nblue\na\nb\nc\nd\n")
    class_folders(tmp_path / "data", {name: name for name in COLOURS})
    test = ClassifierTest(labels=labels)
    result = evaluate_upstream(network, tmp_path / "data", test)
    assert result["top1"] == pytest.approx(1 / 3)  # blue alone
    assert result["top5"] == 1
    assert (result["outputs"], result["classes"]) == (7, 3)


def test_imagenet_s_files_folders_and_names(tmp_path):
    wnids = [line.split("\t")[0] for line in IMAGENET.read_text().splitlines() if line[0] != "#"]
    assert (len(wnids), wnids, len(set(wnids))) == (1000, sorted(wnids), 1000)
    outputs = [None] * 1000
    outputs[1], outputs[980], outputs[37] = 0, 1, 2  # goldfish, volcano, box turtle
    for background in (0, 1):
        network = colour_network(tmp_path / f"{background}.onnx", [None] * background + outputs)
        flat, folders, named = (tmp_path / f"{kind}{background}" for kind in ("f", "w", "n"))
        for wnid, name, colour in (
            (wnids[1], "goldfish", "red"),
            (wnids[980], "volcano", "green"),
            (wnids[37], "box_turtle", "blue"),
        ):
            photo(flat / f"{wnid}.png", COLOURS[colour])
            photo(flat / f"{wnid}_12.png", COLOURS[colour])
            class_folders(folders, {wnid: colour})
            class_folders(named, {name: colour})
        for data, by in ((flat, "wnids"), (folders, "wnids"), (named, "class names")):
            result = evaluate_upstream(network, data, ClassifierTest())
            assert (result["top1"], result["n"]) == (1, 6)
            assert result["matched_by"] == f"ImageNet's {by}"


@given(st.permutations([f"class {i}" for i in range(6)]), st.integers(1, 6))
def test_labels_are_found_whatever_their_order(tmp_path_factory, names, count):
    folder = tmp_path_factory.mktemp("labels")
    forms = {
        "a.txt": "\n".join(names),
        "b.json": json.dumps(names),
        "c.json": json.dumps({str(i): ["n00000001", name] for i, name in enumerate(names)}),
        "d.txt": "\n".join(f"n{i:08d}\t{name.upper()}, other {i}" for i, name in enumerate(names)),
    }
    wanted = [f"class {i}" for i in range(count)]
    for file, text in forms.items():
        (folder / file).write_text(text)
        found = match_classes(wanted, 6, folder / file)
        assert [names[i] for i in found.outputs] == wanted


@pytest.mark.parametrize(
    ("classes", "outputs", "labels", "message"),
    [
        (["a", "b"], 3, None, "3 outputs, the data 2 classes, such as 'a'"),
        (["crane", "goldfish"], 1000, None, r"'crane' stands for outputs \[134, 517\]"),
        (["n99999999", "n01440764"], 1000, None, "their names are not ImageNet's"),
        (["a", "b"], 3, "a\nc\nd", "'b' is not there in"),
        (["a", "b"], 3, "a\nb", "2 labels, but the network has 3 outputs"),
        (["a", "A"], 3, "a\nb\nc", "'a' and 'A' are one output"),
    ],
)
def test_what_cannot_be_matched_is_named(tmp_path, classes, outputs, labels, message):
    file = None
    if labels:
        file = tmp_path / "labels.txt"
        file.write_text(labels)
    with pytest.raises(DataError, match=message):
        match_classes(classes, outputs, file)


def test_names_of_imagenet_s_files():
    assert wnid_of("n01440764.jpg") == wnid_of("n01440764_10026.JPEG") == "n01440764"
    assert wnid_of("n0144076.jpg") is wnid_of("photo.jpg") is wnid_of("n01440764x.jpg") is None


def test_a_file_without_a_classifier_is_told(tmp_path):
    network = colour_network(tmp_path / "net.onnx", [0, 1, 2], classifier=False)
    class_folders(tmp_path / "data", {name: name for name in COLOURS})
    with pytest.raises(BackboneError, match="no classifier in it"):
        evaluate_upstream(network, tmp_path / "data", ClassifierTest())


def test_the_command(tmp_path, capsys):
    network = str(colour_network(tmp_path / "net.onnx", [2, 1, 0]))
    class_folders(tmp_path / "data", {name: name for name in COLOURS})
    data = str(tmp_path / "data")
    command = ["evaluate", "--classifier", "--backbone", network, "--data", data]
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["top1"] == 1
    assert main(command) == 0
    assert "top-1           100.0%" in capsys.readouterr().out
    assert main(["evaluate", "--classifier", "--backbone", network]) == 2
    assert main(["evaluate", "--backbone", network]) == 2
    assert main(["evaluate", "run", data, "--labels", "x.txt"]) == 2
