"""The known networks written anew in torch, straight from a state dict, for parity tests."""

from __future__ import annotations

import numpy as np

from edgetransfer.backbones.architectures import (
    Architecture,
    Conventions,
    NormLayer,
    random_parameters,
)


def trained_parameters(table: Architecture, seed: int, classes: int = 1000) -> dict:
    """Random parameters whose batch-norms have statistics, as after a training."""
    found = dict(random_parameters(table, seed, classes=classes))
    rng = np.random.default_rng(seed)
    for layer in table.convolutions:
        n = layer.outputs
        if layer.scale:
            found[layer.scale] = rng.uniform(0.2, 0.5, n).astype(np.float32)
        if not layer.norm:
            found[f"{layer.name}.bias"] = rng.normal(0, 0.2, n).astype(np.float32)
            continue
        found[f"{layer.norm}.weight"] = rng.uniform(0.5, 1.0, n).astype(np.float32)
        found[f"{layer.norm}.bias"] = rng.normal(0, 0.2, n).astype(np.float32)
        found[f"{layer.norm}.running_mean"] = rng.normal(0, 0.2, n).astype(np.float32)
        found[f"{layer.norm}.running_var"] = rng.uniform(0.5, 1.5, n).astype(np.float32)
    for layer in table.others:
        if isinstance(layer, NormLayer):
            found[f"{layer.name}.weight"] = rng.uniform(0.5, 1.5, layer.channels).astype("f4")
            found[f"{layer.name}.bias"] = rng.normal(0, 0.2, layer.channels).astype("f4")
    return found


def forward(
    name: str, parameters: dict, images: np.ndarray, conventions: Conventions | None = None
) -> np.ndarray:
    """The logits of a named architecture, under conventions where they are not torch's own."""
    import torch
    import torch.nn.functional as F

    p = {key: torch.from_numpy(np.array(value)) for key, value in parameters.items()}
    under = conventions or Conventions()
    activations = {"relu": F.relu, "relu6": F.relu6, "silu": F.silu, "hardswish": F.hardswish}

    def act(x, usual):
        return activations[under.activation or usual](x)

    def conv_bn(x, conv, norm, stride=1, groups=1):
        weight = p[f"{conv}.weight"]
        kernel = weight.shape[-1]
        if under.padding == "same":
            # As TensorFlow's documentation has it.
            totals = [
                max(kernel - stride, 0) if side % stride == 0 else max(kernel - side % stride, 0)
                for side in x.shape[2:]
            ]
            (up, left), (down, right) = zip(*((t // 2, t - t // 2) for t in totals), strict=True)
            x = F.conv2d(F.pad(x, (left, right, up, down)), weight, None, stride, groups=groups)
        else:
            x = F.conv2d(x, weight, None, stride, kernel // 2, groups=groups)
        stats = (p[f"{norm}.running_mean"], p[f"{norm}.running_var"])
        return F.batch_norm(x, *stats, p[f"{norm}.weight"], p[f"{norm}.bias"], eps=under.epsilon)

    def gated(x, reduce, expand, inner, gate):
        y = F.conv2d(x.mean((2, 3), keepdim=True), p[f"{reduce}.weight"], p[f"{reduce}.bias"])
        y = F.conv2d(inner(y), p[f"{expand}.weight"], p[f"{expand}.bias"])
        return x * gate(y)

    def resnet(x):
        x = F.max_pool2d(F.relu(conv_bn(x, "conv1", "bn1", 2)), 3, 2, 1)
        for stage in (1, 2, 3, 4):
            block = 0
            while f"layer{stage}.{block}.conv1.weight" in p:
                at = f"layer{stage}.{block}"
                stride = 2 if stage > 1 and block == 0 else 1
                deep = f"{at}.conv3.weight" in p
                y = F.relu(conv_bn(x, f"{at}.conv1", f"{at}.bn1", 1 if deep else stride))
                y = conv_bn(y, f"{at}.conv2", f"{at}.bn2", stride if deep else 1)
                if deep:
                    y = conv_bn(F.relu(y), f"{at}.conv3", f"{at}.bn3")
                if f"{at}.downsample.0.weight" in p:
                    x = conv_bn(x, f"{at}.downsample.0", f"{at}.downsample.1", stride)
                x = F.relu(x + y)
                block += 1
        return F.linear(x.mean((2, 3)), p["fc.weight"], p["fc.bias"])

    def mobilenet_v1(x):
        x = act(conv_bn(x, "model.0.0", "model.0.1", 2), "relu")
        for index in range(1, 14):
            stride = 2 if index in (2, 4, 6, 12) else 1
            at = f"model.{index}"
            x = act(conv_bn(x, f"{at}.0", f"{at}.1", stride, groups=x.shape[1]), "relu")
            x = act(conv_bn(x, f"{at}.3", f"{at}.4"), "relu")
        return F.linear(x.mean((2, 3)), p["fc.weight"], p["fc.bias"])

    def mobilenet_v2(x):
        x = act(conv_bn(x, "features.0.0", "features.0.1", 2), "relu6")
        for index in range(1, 18):
            at, y, step = f"features.{index}.conv", x, 0
            stride = 2 if index in (2, 4, 7, 14) else 1
            if index > 1:
                y, step = act(conv_bn(y, f"{at}.0.0", f"{at}.0.1"), "relu6"), 1
            y = conv_bn(y, f"{at}.{step}.0", f"{at}.{step}.1", stride, groups=y.shape[1])
            y = conv_bn(act(y, "relu6"), f"{at}.{step + 1}", f"{at}.{step + 2}")
            x = x + y if stride == 1 and x.shape == y.shape else y
        x = act(conv_bn(x, "features.18.0", "features.18.1"), "relu6")
        return F.linear(x.mean((2, 3)), p["classifier.1.weight"], p["classifier.1.bias"])

    def efficientnet(x):
        usual = "relu6" if "lite" in name else "silu"
        depth = {"0": 1.0, "1": 1.1, "2": 1.2, "3": 1.4, "4": 1.8}[name[-1]]
        x = act(conv_bn(x, "_conv_stem", "_bn0", 2), usual)
        index = 0
        # Repetitions and stride of each stage: table 1 of the paper.
        for stage, (count, first) in enumerate(
            ((1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1))
        ):
            scaled = count if usual == "relu6" and stage in (0, 6) else int(-(-count * depth // 1))
            for repetition in range(scaled):
                at, y, stride = f"_blocks.{index}", x, first if repetition == 0 else 1
                if stage > 0:
                    y = act(conv_bn(y, f"{at}._expand_conv", f"{at}._bn0"), usual)
                y = conv_bn(y, f"{at}._depthwise_conv", f"{at}._bn1", stride, groups=y.shape[1])
                y = act(y, usual)
                if usual == "silu":
                    y = gated(y, f"{at}._se_reduce", f"{at}._se_expand", F.silu, torch.sigmoid)
                y = conv_bn(y, f"{at}._project_conv", f"{at}._bn2")
                x = x + y if stride == 1 and x.shape == y.shape else y
                index += 1
        x = act(conv_bn(x, "_conv_head", "_bn1"), usual)
        return F.linear(x.mean((2, 3)), p["_fc.weight"], p["_fc.bias"])

    def mobilenet_v3(x):
        # Tables 1 and 2 of the paper: the stride of each block, and where hardswish begins.
        strides, hard = {
            "mobilenet_v3_large": ((1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1), 7),
            "mobilenet_v3_small": ((2, 2, 1, 2, 1, 1, 1, 1, 2, 1, 1), 4),
        }[name]
        x = F.hardswish(conv_bn(x, "features.0.0", "features.0.1", 2))
        for index, stride in enumerate(strides, start=1):
            usual = "hardswish" if index >= hard else "relu"
            at, y, step = f"features.{index}.block", x, 0
            while f"{at}.{step}.0.weight" in p or f"{at}.{step}.fc1.weight" in p:
                if f"{at}.{step}.fc1.weight" in p:
                    y = gated(y, f"{at}.{step}.fc1", f"{at}.{step}.fc2", F.relu, F.hardsigmoid)
                else:
                    depthwise = p[f"{at}.{step}.0.weight"].shape[1] == 1
                    ends = f"{at}.{step + 1}.0.weight" not in p and not any(
                        f"{at}.{later}.0.weight" in p for later in (step + 1, step + 2)
                    )
                    y = conv_bn(
                        y,
                        f"{at}.{step}.0",
                        f"{at}.{step}.1",
                        stride if depthwise else 1,
                        groups=y.shape[1] if depthwise else 1,
                    )
                    y = y if ends else act(y, usual)
                step += 1
            x = x + y if stride == 1 and x.shape == y.shape else y
        last = f"features.{len(strides) + 1}"
        x = F.hardswish(conv_bn(x, f"{last}.0", f"{last}.1")).mean((2, 3))
        x = F.hardswish(F.linear(x, p["classifier.0.weight"], p["classifier.0.bias"]))
        return F.linear(x, p["classifier.3.weight"], p["classifier.3.bias"])

    def regnet_y(x):
        x = F.relu(conv_bn(x, "stem.0", "stem.1", 2))
        for stage in (1, 2, 3, 4):
            block = 0
            while f"trunk_output.block{stage}.block{stage}-{block}.f.a.0.weight" in p:
                at, stride = f"trunk_output.block{stage}.block{stage}-{block}", 1 + (block == 0)
                y = F.relu(conv_bn(x, f"{at}.f.a.0", f"{at}.f.a.1"))
                groups = y.shape[1] // 8
                y = F.relu(conv_bn(y, f"{at}.f.b.0", f"{at}.f.b.1", stride, groups=groups))
                y = gated(y, f"{at}.f.se.fc1", f"{at}.f.se.fc2", F.relu, torch.sigmoid)
                y = conv_bn(y, f"{at}.f.c.0", f"{at}.f.c.1")
                if block == 0:
                    x = conv_bn(x, f"{at}.proj.0", f"{at}.proj.1", stride)
                x = F.relu(x + y)
                block += 1
        return F.linear(x.mean((2, 3)), p["fc.weight"], p["fc.bias"])

    def convnext(x):
        def conv(x, at, stride=1, margin=0, groups=1):
            return F.conv2d(x, p[f"{at}.weight"], p[f"{at}.bias"], stride, margin, groups=groups)

        def norm(x, at):
            x = F.layer_norm(
                x.movedim(1, -1), x.shape[1:2], p[f"{at}.weight"], p[f"{at}.bias"], 1e-6
            )
            return x.movedim(-1, 1)

        x = norm(conv(x, "stem.0", 4), "stem.1")
        for stage, depth in enumerate((2, 2, 6, 2)):
            if stage:
                x = norm(x, f"stages.{stage}.downsample.0")
                x = conv(x, f"stages.{stage}.downsample.1", 2)
            for block in range(depth):
                at = f"stages.{stage}.blocks.{block}"
                y = norm(conv(x, f"{at}.conv_dw", 1, 3, x.shape[1]), f"{at}.norm")
                y = conv(F.gelu(conv(y, f"{at}.mlp.fc1")), f"{at}.mlp.fc2")
                x = x + p[f"{at}.gamma"][:, None, None] * y
        x = norm(x.mean((2, 3)), "head.norm")
        return F.linear(x, p["head.fc.weight"], p["head.fc.bias"])

    prefixed = name.startswith(("efficientnet", "regnet", "convnext"))
    family = name.rpartition("_")[0] if prefixed else name
    network = {
        "mobilenet_v1": mobilenet_v1,
        "mobilenet_v2": mobilenet_v2,
        "mobilenet_v3_large": mobilenet_v3,
        "mobilenet_v3_small": mobilenet_v3,
        "efficientnet": efficientnet,
        "efficientnet_lite": efficientnet,
        "regnet_y": regnet_y,
        "convnext": convnext,
    }.get(family, resnet)
    with torch.inference_mode():
        return network(torch.from_numpy(images)).numpy()
