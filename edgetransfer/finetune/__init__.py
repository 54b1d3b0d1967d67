"""Finetuning of a whole sparse backbone with fixed zeros, in torch, and back to ONNX.

torch is loaded when a finetuning starts, not before.
"""

from edgetransfer.finetune.entry import finetune
from edgetransfer.settings.finetune import FinetuneSettings

__all__ = ["FinetuneSettings", "finetune"]
