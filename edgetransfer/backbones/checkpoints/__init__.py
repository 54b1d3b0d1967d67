"""Checkpoint files of other people's trainings: read without running any of their code."""

from edgetransfer.backbones.checkpoints.matching import Match, match
from edgetransfer.backbones.checkpoints.reading import Checkpoint, kind_of, read_checkpoint
from edgetransfer.backbones.checkpoints.state_dict import Parameter, find_parameters

__all__ = [
    "Checkpoint",
    "Match",
    "Parameter",
    "find_parameters",
    "kind_of",
    "match",
    "read_checkpoint",
]
