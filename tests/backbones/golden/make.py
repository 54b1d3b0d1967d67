"""How the golden checkpoints here were made: `python make.py`, with torch 2.13.0."""

from pathlib import Path

import torch

base = torch.arange(12, dtype=torch.float32)
tree = {
    "epoch": 3,
    "args": torch.device("cpu"),
    "state_dict": {
        "plain": base.reshape(3, 4),
        "transposed": base.reshape(3, 4).t(),
        "slice": base[5:9],
        "half": torch.tensor([0.5, -2.0], dtype=torch.float16),
        "bfloat": torch.tensor([1.5, -3.0], dtype=torch.bfloat16),
        "whole": torch.tensor(7),
        "parameter": torch.nn.Parameter(torch.tensor([1.0, 2.0])),
        "empty": torch.zeros(0, 3),
    },
}
here = Path(__file__).parent
torch.save(tree, here / "zip.pth")
torch.save(tree, here / "legacy.pth", _use_new_zipfile_serialization=False)
