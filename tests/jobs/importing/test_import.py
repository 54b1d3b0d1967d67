"""Imports: recognised whatever the names, zeros kept, parity with torch."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from safetensors.numpy import save_file

from edgetransfer.backbones import Backbone
from edgetransfer.backbones.architectures import ARCHITECTURES, build
from edgetransfer.backbones.checkpoints import find_parameters, match
from edgetransfer.backbones.checkpoints.naming import SCHEMES
from edgetransfer.cli.main import main
from edgetransfer.errors import BackboneError, UsageError
from edgetransfer.jobs.importing import ImportSettings, import_backbone
from tests.graphs_made import noise, relative_difference, run, tiny, without_names
from tests.torch_networks import forward, trained_parameters

V1 = ARCHITECTURES["mobilenet_v1"]


@pytest.fixture(scope="module")
def mobilenet_parameters():
    return trained_parameters(V1, seed=1, classes=10)


def spelt(table, scheme, parameters):
    """A state dict with the names of a scheme."""
    found = {}
    for name, value in parameters.items():
        prefix, _, last = name.rpartition(".")
        found[f"{scheme.spell(prefix)}.{last}"] = value
    return found


# Names as they stand in the published definitions, written out by hand.
@pytest.mark.parametrize(
    ("table", "scheme", "ours", "theirs"),
    [
        ("resnet50_tf", 0, "conv1", "initial_conv.conv"),
        ("resnet50_tf", 0, "layer2.0.downsample.0", "layer2.block.0.shortcut.conv"),
        ("resnet50_tf", 0, "layer3.5.bn3", "layer3.block.5.conv3.bn"),
        ("resnet50", 2, "layer1.0.downsample.1", "sections.0.0.identity.bn"),
        ("resnet50", 2, "layer4.2.conv3", "sections.3.2.conv3"),
        ("mobilenet_v1", 1, "model.0.1", "conv1.1"),
        ("mobilenet_v1", 1, "model.13.3", "features.12.3"),
        ("mobilenet_v1", 2, "model.1.0", "sections.0.0.depth.conv"),
        ("mobilenet_v1", 2, "model.11.4", "sections.3.5.point.bn"),
        ("mobilenet_v1", 3, "model.12.1", "blocks.4.0.bn1"),
        ("mobilenet_v2", 1, "features.1.conv.1", "features.1.conv.3"),
        ("mobilenet_v2", 1, "features.17.conv.1.1", "features.17.conv.4"),
        ("mobilenet_v2", 1, "features.17.conv.3", "features.17.conv.7"),
        ("mobilenet_v2", 2, "features.0.0", "sections.0.0.expand.conv"),
        ("mobilenet_v2", 2, "features.1.conv.2", "sections.0.0.compress.bn"),
        ("mobilenet_v2", 2, "features.17.conv.0.0", "sections.6.0.expand.conv"),
        ("mobilenet_v1", 4, "model.0.0", "conv_stem.convolution"),
        ("mobilenet_v1", 4, "model.13.4", "layer.25.normalization"),
        ("mobilenet_v2", 3, "features.1.conv.1", "blocks.0.0.conv_pw"),
        ("mobilenet_v2", 3, "features.2.conv.3", "blocks.1.0.bn3"),
        ("mobilenet_v2", 4, "features.17.conv.2", "layer7.0.conv.2.conv"),
        ("mobilenet_v2", 5, "features.1.conv.0.1", "conv_stem.conv_3x3.normalization"),
        ("mobilenet_v2", 5, "features.2.conv.0.0", "layer.0.expand_1x1.convolution"),
        ("mobilenet_v3_small", 1, "features.1.block.1.fc1", "blocks.0.0.se.conv_reduce"),
        ("mobilenet_v3_small", 1, "features.1.block.2.0", "blocks.0.0.conv_pw"),
        ("mobilenet_v3_large", 1, "features.4.block.3.1", "blocks.2.0.bn3"),
        ("mobilenet_v3_large", 1, "features.16.0", "blocks.6.0.conv"),
        ("mobilenet_v3_large", 1, "classifier.0", "conv_head"),
        ("regnet_y_400mf", 1, "trunk_output.block3.block3-5.f.b.1", "s3.b6.conv2.bn"),
        ("regnet_y_400mf", 1, "trunk_output.block1.block1-0.proj.0", "s1.b1.downsample.conv"),
        ("efficientnet_lite0", 1, "_blocks.0._bn2", "blocks.0.0.bn2"),
        ("efficientnet_lite1", 1, "_blocks.3._project_conv", "blocks.1.2.conv_pwl"),
        ("efficientnet_b0", 1, "_blocks.0._se_expand", "features.1.0.block.1.fc2"),
        ("efficientnet_b0", 1, "_blocks.1._expand_conv", "features.2.0.block.0.0"),
        ("efficientnet_b0", 1, "_blocks.15._bn2", "features.7.0.block.3.1"),
        ("efficientnet_b0", 2, "_blocks.2._se_reduce", "blocks.1.1.se.conv_reduce"),
    ],
)
def test_spellings(table, scheme, ours, theirs):
    assert SCHEMES[table][scheme].spell(ours) == theirs


def test_what_does_not_fit_is_told():
    shapes = ARCHITECTURES["resnet18"].parameter_shapes(5)
    empty = {name: np.broadcast_to(np.float32(0), shape) for name, shape in shapes.items()}
    del empty["layer4.1.conv2.weight"]
    with pytest.raises(
        BackboneError, match=r"nearest is resnet18.*20 convolutions 19 fit.*'layer4"
    ):
        match(find_parameters(empty))
    with pytest.raises(BackboneError, match="of no architecture that is known here"):
        match(find_parameters({"a.weight": np.zeros((2, 2, 3, 3))}))


def test_safetensors_become_a_backbone_with_a_card(mobilenet_parameters, tmp_path):
    source = tmp_path / "net.safetensors"
    save_file(mobilenet_parameters, source)
    result = import_backbone(
        ImportSettings(source=source, out=tmp_path / "net.onnx", pruning="none", size=64)
    )
    assert (result["architecture"], result["classes"]) == ("mobilenet_v1", 10)
    backbone = Backbone.open(tmp_path / "net.onnx")
    assert backbone.warnings == ()
    assert (backbone.dimension, backbone.card.dimension) == (1024, 1024)
    assert (backbone.preprocessing.size, backbone.card.pruning) == (64, "none")
    assert backbone.card.source == "imported from net.safetensors"
    images = noise(2, 3, 64, 64)
    expected = run(build(V1, mobilenet_parameters, size=64), images)
    np.testing.assert_allclose(run(backbone.frozen(2), images), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_masked_torch_checkpoint_computes_what_torch_does(legacy, tmp_path):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    table = ARCHITECTURES["resnet18"]
    parameters = trained_parameters(table, seed=2, classes=10)
    rng = np.random.default_rng(0)
    state = {}
    for name, value in parameters.items():
        tensor = torch.from_numpy(value)
        if value.ndim == 4:
            mask = torch.from_numpy(rng.random(value.shape) < 0.2)
            prefix = name.removesuffix(".weight")
            state[f"module.{prefix}._layer.weight"] = torch.nn.Parameter(tensor)
            state[f"module.{prefix}._weight_mask"] = mask.float()
            parameters[name] = value * mask.numpy()
        else:
            state[f"module.{name}"] = tensor
    tree = {"epoch": 99, "model_config": {"arch": "resnet18"}, "model_state_dict": state}
    torch.save(tree, tmp_path / "net.ckpt", _use_new_zipfile_serialization=not legacy)
    settings = ImportSettings(source=tmp_path / "net.ckpt", out=tmp_path / "net.onnx", size=32)
    result = import_backbone(settings)
    images = noise(2, 3, 32, 32)
    logits = run(onnx.load(str(tmp_path / "net.onnx")), images)
    assert relative_difference(logits, forward("resnet18", parameters, images)) < 1e-4
    assert result["masked_layers"] == 20
    assert result["sparsity"] == pytest.approx(0.8, abs=0.002)
    for tensor in onnx.load(str(tmp_path / "net.onnx")).graph.initializer:
        if tensor.name in parameters and len(tensor.dims) == 4:
            zeros = numpy_helper.to_array(tensor) == 0
            np.testing.assert_array_equal(zeros, parameters[tensor.name] == 0)


def test_str_s_pointwise_classifier(mobilenet_parameters, tmp_path):
    state = dict(mobilenet_parameters)
    state["fc.weight"] = state["fc.weight"].reshape(10, 1024, 1, 1)
    del state["fc.bias"]
    save_file({f"module.{k}": v for k, v in state.items()}, tmp_path / "str.safetensors")
    settings = ImportSettings(
        source=tmp_path / "str.safetensors", out=tmp_path / "net.onnx", size=32
    )
    assert import_backbone(settings)["classes"] == 10


def test_rigl_s_network_pools_as_tensorflow_and_is_bicubic(tmp_path):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    table = ARCHITECTURES["resnet50_tf"]
    parameters = trained_parameters(table, seed=4, classes=3)
    save_file(spelt(table, SCHEMES["resnet50_tf"][0], parameters), tmp_path / "rigl.safetensors")
    settings = ImportSettings(
        source=tmp_path / "rigl.safetensors", out=tmp_path / "net.onnx", size=32
    )
    result = import_backbone(settings)
    assert result["card"]["preprocessing"]["interpolation"] == "bicubic"
    model = onnx.load(str(tmp_path / "net.onnx"))
    images = noise(1, 3, 32, 32)
    del model.graph.output[:]
    for name in ("conv1.relu", "maxpool"):
        model.graph.output.append(
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        )
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString())
    before, after = session.run(None, {"input": images})
    padded = torch.nn.functional.pad(torch.from_numpy(before), (0, 1, 0, 1))
    expected = torch.nn.functional.max_pool2d(padded, 3, 2).numpy()
    np.testing.assert_array_equal(after, expected)


def test_onnx_files_keep_their_graph_and_get_names_and_a_card(tmp_path):
    made = tiny(head="gemm", sparsity=0.7, batch=1)
    unnamed, _ = without_names(made.model)
    for index, tensor in enumerate(unnamed.graph.initializer):
        for node in unnamed.graph.node:
            node.input[:] = [str(900 + index) if n == tensor.name else n for n in node.input]
        tensor.name = str(900 + index)
    onnx.save(unnamed, str(tmp_path / "theirs.onnx"))
    before = Backbone.open(tmp_path / "theirs.onnx")
    settings = ImportSettings(
        source=tmp_path / "theirs.onnx", out=tmp_path / "ours.onnx", mean=(0.5,) * 3, std=(0.5,) * 3
    )
    result = import_backbone(settings)
    after = Backbone.open(tmp_path / "ours.onnx")
    assert after.sparsity == before.sparsity == result["sparsity"]
    assert after.preprocessing.mean == (0.5, 0.5, 0.5)
    assert after.warnings == ()
    images = noise(1, 3, after.preprocessing.size, after.preprocessing.size)
    np.testing.assert_array_equal(run(after.frozen(1), images), run(before.frozen(1), images))
    assert all(not layer.name.isdigit() for layer in after.sparsity_report.layers)


def test_existing_files_and_senseless_wishes(mobilenet_parameters, tmp_path):
    source, out = tmp_path / "net.safetensors", tmp_path / "net.onnx"
    save_file(mobilenet_parameters, source)
    out.write_bytes(b"mine")
    with pytest.raises(UsageError, match="is there already"):
        import_backbone(ImportSettings(source=source, out=out))
    assert out.read_bytes() == b"mine"
    import_backbone(ImportSettings(source=source, out=out, size=32, overwrite=True))
    assert Backbone.open(out).dimension == 1024
    with pytest.raises(UsageError, match="is the file that is read"):
        import_backbone(ImportSettings(source=out, out=out, overwrite=True))
    with pytest.raises(UsageError, match=r"end in \.onnx"):
        import_backbone(ImportSettings(source=source, out=tmp_path / "net.pth"))
    with pytest.raises(UsageError, match="and not both"):
        ImportSettings(source=None, out=out)
    with pytest.raises(UsageError, match="no folder"):
        import_backbone(ImportSettings(source=source, out=tmp_path / "gone" / "net.onnx"))


def test_a_diverged_checkpoint_is_refused_and_leaves_nothing(mobilenet_parameters, tmp_path):
    state = {**mobilenet_parameters}
    state["model.4.3.weight"] = np.full_like(state["model.4.3.weight"], np.nan)
    save_file(state, tmp_path / "net.safetensors")
    settings = ImportSettings(source=tmp_path / "net.safetensors", out=tmp_path / "net.onnx")
    with pytest.raises(BackboneError, match=r"'model\.4\.3\.weight' are infinite or not numbers"):
        import_backbone(settings)
    assert [p.name for p in tmp_path.iterdir()] == ["net.safetensors"]


def test_the_command(mobilenet_parameters, tmp_path, capsys):
    save_file(mobilenet_parameters, tmp_path / "net.safetensors")
    arguments = ["import", str(tmp_path / "net.safetensors"), "--out", str(tmp_path / "net.onnx")]
    assert main([*arguments, "--size", "32", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["naming"] == "AC/DC and STR"
    assert main(arguments) == 2
    assert "is there already" in capsys.readouterr().err
    assert main(["import", str(tmp_path / "none.pth"), "--out", str(tmp_path / "x.onnx")]) == 3
    assert main([*arguments, "--download", "resnet50"]) == 2
    assert main(["import", "--help"]) == 0
    assert "edgetransfer import" in capsys.readouterr().out


def test_batchnorm_may_stay_as_it_is(mobilenet_parameters, tmp_path):
    """The same features; statistics, scale and shift are there to be trained and tuned."""
    save_file(mobilenet_parameters, tmp_path / "m.safetensors")
    found = {}
    for keep in (False, True):
        out = tmp_path / f"{keep}.onnx"
        import_backbone(
            ImportSettings(source=tmp_path / "m.safetensors", out=out, size=32, keep_batchnorm=keep)
        )
        found[keep] = Backbone.open(out)
    images = noise(2, 3, 32, 32)
    ours, theirs = (run(found[keep].frozen(2), images) for keep in (True, False))
    assert relative_difference(ours, theirs) < 1e-4
    norms = [n for n in found[True].body.graph.node if n.op_type == "BatchNormalization"]
    assert len(norms) == sum(n.op_type == "Conv" for n in found[True].body.graph.node)
    assert not any(n.op_type == "BatchNormalization" for n in found[False].body.graph.node)
