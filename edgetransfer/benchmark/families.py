"""What is known of the architectures and patterns that synthetic backbones are asked for by."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

from edgetransfer.backbones.architectures import architecture
from edgetransfer.backbones.architectures.profiles import Profile, is_profile, published
from edgetransfer.errors import UsageError
from edgetransfer.graphs.pruning import Distribution
from edgetransfer.settings.benchmark import BenchmarkSettings

PATTERNS = (*get_args(Distribution), *get_args(Profile))


def with_known_families(settings: BenchmarkSettings) -> BenchmarkSettings:
    """The settings with each architecture by the name that the tables have.

    Raises
    ------
    UsageError
        If there is no such architecture or pattern, or nothing is published of it there.
    """
    if not settings.synthetic:
        return settings
    families = tuple(
        replace(family, architecture=architecture(family.architecture).name)
        for family in settings.synthetic
    )
    for pattern in settings.distributions:
        if pattern not in PATTERNS:
            raise UsageError(f"--pattern names some of {', '.join(PATTERNS)}, not {pattern!r}")
        for family in families if is_profile(pattern) else ():
            for sparsity in family.sparsities:
                published(family.architecture, pattern, sparsity)
    return replace(settings, synthetic=families)
