"""ResNets and MobileNets written anew in torch, straight from a state dict, for parity tests."""

from __future__ import annotations

import numpy as np

from edgetransfer.backbones.architectures import Architecture, random_parameters


def trained_parameters(table: Architecture, seed: int, classes: int = 1000) -> dict:
    """Random parameters whose batch-norms have statistics, as after a training."""
    found = dict(random_parameters(table, seed, classes=classes))
    rng = np.random.default_rng(seed)
    for layer in table.convolutions:
        n = layer.outputs
        found[f"{layer.norm}.weight"] = rng.uniform(0.5, 1.0, n).astype(np.float32)
        found[f"{layer.norm}.bias"] = rng.normal(0, 0.2, n).astype(np.float32)
        found[f"{layer.norm}.running_mean"] = rng.normal(0, 0.2, n).astype(np.float32)
        found[f"{layer.norm}.running_var"] = rng.uniform(0.5, 1.5, n).astype(np.float32)
    return found


def forward(name: str, parameters: dict, images: np.ndarray) -> np.ndarray:
    """The logits of a named architecture."""
    import torch
    import torch.nn.functional as F

    p = {key: torch.from_numpy(np.array(value)) for key, value in parameters.items()}

    def conv_bn(x, conv, norm, stride=1, groups=1):
        weight = p[f"{conv}.weight"]
        x = F.conv2d(x, weight, None, stride, weight.shape[-1] // 2, groups=groups)
        stats = (p[f"{norm}.running_mean"], p[f"{norm}.running_var"])
        return F.batch_norm(x, *stats, p[f"{norm}.weight"], p[f"{norm}.bias"])

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
        x = F.relu(conv_bn(x, "model.0.0", "model.0.1", 2))
        for index in range(1, 14):
            stride = 2 if index in (2, 4, 6, 12) else 1
            at = f"model.{index}"
            x = F.relu(conv_bn(x, f"{at}.0", f"{at}.1", stride, groups=x.shape[1]))
            x = F.relu(conv_bn(x, f"{at}.3", f"{at}.4"))
        return F.linear(x.mean((2, 3)), p["fc.weight"], p["fc.bias"])

    def mobilenet_v2(x):
        x = F.relu6(conv_bn(x, "features.0.0", "features.0.1", 2))
        for index in range(1, 18):
            at, y, step = f"features.{index}.conv", x, 0
            stride = 2 if index in (2, 4, 7, 14) else 1
            if index > 1:
                y, step = F.relu6(conv_bn(y, f"{at}.0.0", f"{at}.0.1")), 1
            y = conv_bn(y, f"{at}.{step}.0", f"{at}.{step}.1", stride, groups=y.shape[1])
            y = conv_bn(F.relu6(y), f"{at}.{step + 1}", f"{at}.{step + 2}")
            x = x + y if stride == 1 and x.shape == y.shape else y
        x = F.relu6(conv_bn(x, "features.18.0", "features.18.1"))
        return F.linear(x.mean((2, 3)), p["classifier.1.weight"], p["classifier.1.bias"])

    network = {"mobilenet_v1": mobilenet_v1, "mobilenet_v2": mobilenet_v2}.get(name, resnet)
    with torch.inference_mode():
        return network(torch.from_numpy(images)).numpy()
