"""Channels that cannot change a network's outputs: found, and cut away exactly."""

from edgetransfer.backbones.compact.analysis import DeadChannels, LayerChannels, find_dead_channels
from edgetransfer.backbones.compact.cutting import compact

__all__ = ["DeadChannels", "LayerChannels", "compact", "find_dead_channels"]
