"""Whole networks of torchvision and timm, random weights, against unoptimised ONNX Runtime.

    pip install --no-deps timm torchvision
    python -m pytest -m slow tests/engines/sparse/test_families.py

Each is exported by torch as its users would and compared in parts of the largest output.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgetransfer.native.compiling import why_absent
from tests.engines.fuzzing.comparing import difference
from tests.engines.sparse.plans import open_plan, run_session
from tests.graphs_made import noise, unoptimised

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(why_absent() is not None, reason=str(why_absent())),
]

# Of torchvision where they say so, else of timm.
NETWORKS = """
    tv:alexnet tv:vgg11 tv:vgg16_bn tv:resnet18 tv:resnet50 tv:resnext50_32x4d tv:wide_resnet50_2
    tv:densenet121 tv:squeezenet1_0 tv:squeezenet1_1 tv:googlenet tv:inception_v3 tv:mobilenet_v2
    tv:mobilenet_v3_small tv:mobilenet_v3_large tv:mnasnet0_5 tv:mnasnet1_0 tv:shufflenet_v2_x0_5
    tv:shufflenet_v2_x1_0 tv:efficientnet_b0 tv:efficientnet_v2_s tv:regnet_x_400mf
    tv:regnet_y_400mf tv:convnext_tiny resnet26d resnet50d seresnet50 ecaresnet26t skresnet18
    resnest14d res2net50_26w_4s gernet_s repvgg_a0 repvit_m0_9 mobileone_s0 mobilenetv1_100
    mobilenetv3_small_100 mobilenetv4_conv_small fbnetc_100 fbnetv3_b semnasnet_100 mixnet_s
    tinynet_e hardcorenas_a lcnet_050 ghostnet_100 efficientnet_lite0 efficientnet_es
    tf_efficientnetv2_b0 rexnet_100 regnety_004 cspresnet50 cspdarknet53 dla34 dpn68
    hrnet_w18_small ese_vovnet19b_dw selecsls42b eca_nfnet_l0 resnetv2_50x1_bit convnextv2_atto
    inception_next_tiny fasternet_t0 starnet_s1 hgnetv2_b0
    convnext_atto vit_tiny_patch16_224 deit_small_patch16_224 deit_tiny_distilled_patch16_224
    vit_small_patch14_dinov2 mobilevit_xs mobilevitv2_050 edgenext_xx_small efficientformer_l1
    efficientvit_b0 levit_128s poolformer_s12 pvt_v2_b0 gcresnet33ts
""".split()  # noqa: SIM905


def _built(name: str) -> tuple[Any, int]:
    """A network with random weights, and the side of its images."""
    torch = pytest.importorskip("torch")
    operators = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):  # compiled for other processors, and used by none of these
        try:
            operators.define(f"{operator}(Tensor dets, Tensor scores, float threshold) -> Tensor")
        except RuntimeError:
            break
    torch.manual_seed(0)
    if name.startswith("tv:"):
        models = pytest.importorskip("torchvision").models
        options = {"init_weights": True} if name in ("tv:googlenet", "tv:inception_v3") else {}
        model = getattr(models, name[3:])(weights=None, **options)
        return model, 299 if name == "tv:inception_v3" else 224
    timm = pytest.importorskip("timm")
    model = timm.create_model(name, pretrained=False, exportable=True)
    return model, int(model.default_cfg["input_size"][-1])


def _exported(name: str, path: Path, batch: int) -> onnx.ModelProto:
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model, side = _built(name)
        head = [p for p in model.parameters() if p.ndim <= 2][-2:]
        for parameter in head:  # some begin as zeros, and every output would be one
            torch.nn.init.normal_(parameter, std=0.05)
        torch.onnx.export(
            model.eval(), torch.zeros(batch, 3, side, side), str(path), opset_version=17,
            input_names=["x"], output_names=["y"], dynamo=False,
        )  # fmt: skip
    return onnx.load(str(path))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_gives_what_onnxruntime_gives(name: str, tmp_path: Path) -> None:
    from edgetransfer.engines.sparse.lowering import lower

    model = _exported(name, tmp_path / "net.onnx", 2)
    images = noise(*(d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim))
    plan = lower(model)
    session = open_plan(plan)
    got = run_session(session, plan, images)
    alone = run_session(session, plan, images[:1])
    session.close()
    expected = unoptimised(model, images)
    assert difference(got.reshape(expected.shape), expected) <= 1e-5
    np.testing.assert_array_equal(alone[0], got[0])
