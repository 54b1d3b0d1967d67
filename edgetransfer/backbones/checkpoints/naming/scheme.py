"""How somebody names a network's parameters, and what such files do not say of the network."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from edgetransfer.backbones.architectures import Conventions
from edgetransfer.types import Preprocessing, default_resize


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """The names of one family of published checkpoints, and how its networks were trained.

    Parameters
    ----------
    name
        Whose names they are.
    architecture
        Of which architecture.
    spell
        How they spell one of the architecture's own prefixes.
    card
        What the family's networks expect of their input.
    conventions
        Its activation, padding and epsilon.
    classifier
        The prefix of its fully connected layer, as it spells it.
    mark
        What the names of its files begin with, for schemes that spell alike.
    foreign
        What the names of files begin with that have the same parameters and are other networks.
    remark
        What a person should know who imports such a file.
    """

    name: str
    architecture: str
    spell: Callable[[str], str]
    classifier: str
    card: Preprocessing = field(default_factory=Preprocessing)
    conventions: Conventions = field(default_factory=Conventions)
    mark: str = ""
    foreign: tuple[str, ...] = ()
    remark: str = ""


def same(name: str) -> str:
    """The speller of the architecture's own names."""
    return name


def rules(*pairs: tuple[str, str]) -> Callable[[str], str]:
    """A speller that applies the first rule whose pattern is the whole name."""
    compiled = [(re.compile(pattern), replacement) for pattern, replacement in pairs]

    def spell(name: str) -> str:
        for pattern, replacement in compiled:
            if pattern.fullmatch(name):
                return pattern.sub(replacement, name)
        return name

    return spell


def staged(
    block: str, stages: tuple[int, ...], spell: Callable[[str, str], str], *, first: int = 1
) -> Callable[[str], str]:
    """A speller for names with one running block number and a rest.

    ``spell`` is given ``STAGE.INDEX``, both from 0, or nothing outside blocks, and the rest.

    Parameters
    ----------
    block
        The pattern of a block's names, with groups for its number and the rest.
    stages
        Blocks of each stage.
    first
        The first block's number.
    """
    pattern = re.compile(block)
    places = [f"{stage}.{index}" for stage, n in enumerate(stages) for index in range(n)]

    def spelt(name: str) -> str:
        found = pattern.fullmatch(name)
        if not found or not 0 <= int(found[1]) - first < len(places):
            return spell("", name)
        return spell(places[int(found[1]) - first], found[2])

    return spelt


def fixed(stem: dict[str, str], parts: dict[str, str], blocks: str) -> Callable[[str, str], str]:
    """Spell the layers outside blocks by one table, the parts of blocks by another."""

    def spell(place: str, rest: str) -> str:
        return f"{blocks}.{place}.{parts.get(rest, rest)}" if place else stem.get(rest, rest)

    return spell


def inception(size: int = 224, resize: int | None = None) -> Preprocessing:
    """Pixels from -1 to 1, bicubic: TensorFlow's networks and those that follow them."""
    return Preprocessing(
        size=size,
        resize=resize or default_resize(size),
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        interpolation="bicubic",
    )


def bicubic(size: int = 224, resize: int | None = None) -> Preprocessing:
    """ImageNet's mean and standard deviation, bicubic."""
    return Preprocessing(size=size, resize=resize or default_resize(size), interpolation="bicubic")
