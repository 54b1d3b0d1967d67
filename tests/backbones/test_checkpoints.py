"""Checkpoint files: every form is read, and nothing in them is ever run."""

from __future__ import annotations

import collections
import os
import pickle
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from edgetransfer.backbones.checkpoints import find_parameters, kind_of, read_checkpoint
from edgetransfer.backbones.checkpoints.state_dict import soft_threshold
from edgetransfer.backbones.checkpoints.tensors import LazyTensor, Storage
from edgetransfer.errors import BackboneError

GOLDEN = Path(__file__).parent / "golden"  # make.py there says how
KERNEL = np.arange(1, 37, dtype=np.float32).reshape(4, 1, 3, 3)
MASK = (KERNEL % 3 > 0).astype(np.float32)


@pytest.mark.parametrize("name", ["zip.pth", "legacy.pth"])
def test_torch_files_are_read_without_torch(name):
    checkpoint = read_checkpoint(GOLDEN / name)
    assert checkpoint.kind == {"zip.pth": "torch", "legacy.pth": "torch-legacy"}[name]
    assert checkpoint.tree["epoch"] == 3
    values = {k: v.array() for k, v in checkpoint.tree["state_dict"].items()}
    base = np.arange(12, dtype=np.float32)
    np.testing.assert_array_equal(values["plain"], base.reshape(3, 4))
    np.testing.assert_array_equal(values["transposed"], base.reshape(3, 4).T)
    np.testing.assert_array_equal(values["slice"], base[5:9])
    np.testing.assert_array_equal(values["half"], np.array([0.5, -2], np.float16))
    np.testing.assert_array_equal(values["bfloat"], np.array([1.5, -3], np.float32))
    np.testing.assert_array_equal(values["parameter"], [1, 2])
    assert (values["whole"], values["empty"].shape) == (7, (0, 3))
    assert checkpoint.passed_over == ("torch.device",)


class _Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def _legacy(tree, path):
    """A file of torch's old form around a pickled object."""
    parts = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, tree, [])
    path.write_bytes(b"".join(pickle.dumps(part, protocol=2) for part in parts))


def _zipped(tree, path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(tree, protocol=2))


@pytest.mark.parametrize("write", [_legacy, _zipped])
def test_code_in_a_pickle_is_not_run(write, tmp_path):
    trap, file = tmp_path / "trap", tmp_path / "evil.pth"
    write({"state_dict": _Evil(trap), "more": collections.Counter("aab")}, file)
    checkpoint = read_checkpoint(file)
    assert not trap.exists()
    assert checkpoint.passed_over == ("collections.Counter", f"{os.system.__module__}.system")
    with pytest.raises(BackboneError, match="no weights of convolutions"):
        find_parameters(checkpoint.tree)


def test_attempts_on_the_reader_itself_fail(tmp_path):
    # GLOBAL torch._utils._rebuild_tensor_v2, then BUILD with a state that would replace it.
    attack = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}U\x09_functionNsb."
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as archive:
        archive.writestr("a/data.pkl", attack)
    with pytest.raises(BackboneError, match="tampers"):
        read_checkpoint(tmp_path / "a.pth")


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (0, (3, 4), (4, 1)),
        (8, (4,), (1,)),
        (-1, (1,), (1,)),
        (0, (1000, 1000), (0, 0)),
        (0, (2,), ()),
    ],
)
def test_a_tensor_cannot_reach_beyond_its_storage(offset, shape, strides):
    storage = Storage(read=lambda: bytes(40), kind="float32", count=10)
    with pytest.raises(ValueError):
        LazyTensor(storage=storage, offset=offset, shape=shape, strides=strides)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty file"),
        (b"PK\x03\x04 cut off", "a broken checkpoint"),
        (b"\x80\x02", "a broken checkpoint"),
        (pickle.dumps({"a": 1}, protocol=2), "not one that torch.save wrote"),
        (b"# a script\nprint(1)\n", "neither a torch checkpoint nor safetensors"),
    ],
)
def test_broken_files_are_named(content, message, tmp_path):
    file = tmp_path / "net.pth"
    file.write_bytes(content)
    with pytest.raises(BackboneError, match=message) as caught:
        read_checkpoint(file)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("name", ["zip.pth", "legacy.pth"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 0.97])
def test_incomplete_files_are_named(name, share, tmp_path):
    content = (GOLDEN / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(share * len(content))])
    with pytest.raises(BackboneError, match=r"broken|not one that torch"):
        read_checkpoint(tmp_path / name)


def test_safetensors(tmp_path):
    save_file({"a.weight": KERNEL}, tmp_path / "net.safetensors")
    assert kind_of(tmp_path / "net.safetensors") == "safetensors"
    tree = read_checkpoint(tmp_path / "net.safetensors").tree
    np.testing.assert_array_equal(tree["a.weight"], KERNEL)
    content = (tmp_path / "net.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(content[:-20])
    with pytest.raises(BackboneError, match="broken"):
        read_checkpoint(tmp_path / "cut.safetensors")


@pytest.mark.parametrize(
    ("tree", "path"),
    [
        ({"a.weight": KERNEL, "a.weight_mask": MASK}, "a"),
        ({"s": {"module.a.weight_orig": KERNEL, "module.a.weight_mask": MASK}, "epoch": 1}, "s.a"),
        ({"model_state_dict": {"a._layer.weight": KERNEL, "a._weight_mask": MASK}}, None),
        ({"m": {"module.a._layer.weight": KERNEL, "module.a._weight_mask": MASK != 0}}, "m.a"),
        ({"net": {"a.weight": KERNEL}, "masks": {"module.a.weight": MASK}}, "net.a"),
        ({"state_dict": {"a.weight": KERNEL}, "masks": {"a": MASK}}, "state_dict.a"),
        ({"a": {"deep": {"a.weight": KERNEL, "a.mask": MASK.reshape(-1)}}}, "a.deep.a"),
        ({"b": {"a.weight": KERNEL, "mask.a.weight": MASK}}, "b.a"),
    ],
)
def test_masks_are_multiplied_in(tree, path):
    found = find_parameters(tree)
    (name,) = found  # what is a mask is no parameter
    assert path is None or name == f"{path}.weight"
    np.testing.assert_array_equal(found[name].read(), KERNEL * MASK)
    assert (found[name].masked, found[name].thresholded) == (True, False)


def test_what_is_masked_may_be_anything():
    weights = KERNEL.copy()
    weights[MASK == 0] = np.nan
    found = find_parameters({"a.weight": weights, "a.weight_mask": MASK})
    np.testing.assert_array_equal(found["a.weight"].read(), KERNEL * MASK)


def test_a_mask_of_another_shape_is_refused():
    found = find_parameters({"a.weight": KERNEL, "a.weight_mask": np.ones(5)})
    with pytest.raises(BackboneError, match=r"mask of 'a\.weight' has shape \(5,\)"):
        found["a.weight"].read()


def test_a_mask_of_nothing_stays_a_parameter():
    found = find_parameters({"a.weight": KERNEL, "masks": {"b.weight": MASK}})
    assert list(found) == ["a.weight", "masks.b.weight"]


def test_str_thresholds_are_applied():
    # sigmoid(log(3)) = 3/4
    weights = np.array([-2, -0.75, 0.5, 0, 1], np.float32)
    expected = np.array([-1.25, 0, 0, 0, 0.25], np.float32)
    np.testing.assert_allclose(
        soft_threshold(weights, np.full((1, 1), np.log(3), np.float32)), expected, atol=1e-7
    )
    found = find_parameters({"a.weight": KERNEL, "a.sparseThreshold": np.full((1, 1), -3200.0)})
    np.testing.assert_array_equal(found["a.weight"].read(), KERNEL)
    assert list(found) == ["a.weight"]
    assert found["a.weight"].thresholded


def test_every_tensor_is_a_parameter_by_its_path():
    found = find_parameters(
        {
            "optimizer": {"state": {0: {"momentum_buffer": KERNEL}}},
            "state_dict": {"a.weight": KERNEL, "a.gamma": MASK[0], "a.epochs": 3},
        }
    )
    assert list(found) == [
        *("optimizer.state.0.momentum_buffer", "state_dict.a.weight", "state_dict.a.gamma")
    ]


def test_two_paths_that_differ_in_wrapping_stay_two():
    found = find_parameters({"a.weight": KERNEL, "module.a.weight": KERNEL * 2})
    assert list(found) == ["a.weight", "module.a.weight"]


def test_a_whole_pickled_model_gives_its_parameters(tmp_path):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    torch.save(net, tmp_path / "net.pt")
    found = find_parameters(read_checkpoint(tmp_path / "net.pt").tree)
    assert set(found) == {
        *("0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var"),
        "1.num_batches_tracked",
    }
    np.testing.assert_array_equal(found["0.weight"].read(), net[0].weight.detach().numpy())


def test_a_small_file_of_endless_dictionaries_is_walked_once():
    tree = {"a.weight": KERNEL}
    for _ in range(11):
        tree = {f"d{i}": tree for i in range(30)}
    assert len(find_parameters(tree)) == 1


GIB = 2**30
# Bytes that make an unpickler ask for gigabytes before it finds out that there is nothing.
HUNGRY = {
    "a memo place as a number": b"\x80\x02]r" + (2**29).to_bytes(4, "little") + b".",
    "a memo place as text": b"\x80\x02]p536870912\n.",
    "a memo place below zero": b"\x80\x02]p-5\n.",
    "a string": b"\x80\x04\x8d" + (8 * GIB).to_bytes(8, "little") + b"a.",
    "bytes": b"\x80\x04\x8e" + (8 * GIB).to_bytes(8, "little") + b"a.",
    "short bytes": b"\x80\x04B" + (2**32 - 1).to_bytes(4, "little") + b"a.",
    "an array of bytes": b"\x80\x05\x96" + (8 * GIB).to_bytes(8, "little") + b"a.",
    "a frame": b"\x80\x04\x95" + (8 * GIB).to_bytes(8, "little") + b"N.",
    "a number": b"\x80\x02\x8b" + (2**31 - 1).to_bytes(4, "little") + b"1.",
    "digits without end": b"\x80\x02I" + b"9" * 5000 + b"\n.",
}


@pytest.mark.parametrize("form", ["zip", "legacy", "legacy, later"])
@pytest.mark.parametrize("name", HUNGRY)
def test_a_pickle_that_asks_for_gigabytes_is_named(name, form, tmp_path):
    path = tmp_path / "x.pt"
    if form == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", HUNGRY[name])
    else:
        begin = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
        parts = [pickle.dumps(part, protocol=2) for part in begin]
        parts = parts if form == "legacy, later" else []
        path.write_bytes(b"".join(parts) + HUNGRY[name])
    tracemalloc.start()
    try:
        with pytest.raises(BackboneError, match=r"x[.]pt"):
            read_checkpoint(path)
        assert tracemalloc.get_traced_memory()[1] < 2**26
    finally:
        tracemalloc.stop()
