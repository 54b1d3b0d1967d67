"""Channels that cannot change a network's outputs: found, and cut away exactly."""

from edgetransfer.graphs.compact.analysis import DeadChannels, LayerChannels, find_dead_channels
from edgetransfer.graphs.compact.cutting import compact

__all__ = ["DeadChannels", "LayerChannels", "compact", "find_dead_channels"]
