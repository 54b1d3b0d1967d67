"""What features of very many photos cost: processor time, network, money, energy.

Pure functions of their assumptions, each of which is an argument with a default that
``docs/cost.md`` explains.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """A backbone as it was measured.

    Parameters
    ----------
    name
        Of the row.
    size
        Side of its input, in pixels.
    per_core
        Images a second of the engine alone, on one core.
    dimension
        Of its features.
    """

    name: str
    size: int
    per_core: float
    dimension: int


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """What a photo and a machine are.

    Parameters
    ----------
    megapixels, kilobytes
        Of a photo.
    opening, per_megapixel, per_input
        Milliseconds of one core: to open a photo; to decode a megapixel, scaled down as far as the
        DCT allows; and to resample and normalise an input of 224 pixels.
    cores_a_node, gigabits
        Of a machine, and of its network.
    dollars, requests
        Of a core's hour, and of a million reads from an object store; tables and archives of
        photos need hardly any.
    watts
        Of a core at work, with its share of memory, board, cooling and conversion.
    """

    megapixels: float = 0.25
    kilobytes: float = 60.0
    opening: float = 0.3
    per_megapixel: float = 2.3
    per_input: float = 0.62
    cores_a_node: int = 32
    gigabits: float = 10.0
    dollars: float = 0.02
    requests: float = 0.4
    watts: float = 8.0


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What it takes.

    Parameters
    ----------
    core_hours
        Of work.
    dollars, kilowatt_hours
        In all; reads from an object store are counted, one a photo.
    terabytes_in, terabytes_out
        Photos, and float32 features.
    network_bound
        Whether the machines wait for their network.
    """

    core_hours: float
    dollars: float
    kilowatt_hours: float
    terabytes_in: float
    terabytes_out: float
    network_bound: bool

    def hours(self, cores: int) -> float:
        """How long so many cores take, if all are busy to the end."""
        return self.core_hours / cores


def decoding(backbone: Backbone, given: Assumptions) -> float:
    """Milliseconds of one core from a file's bytes to the engine's input."""
    inputs = (backbone.size / 224) ** 2
    return given.opening + given.per_megapixel * given.megapixels + given.per_input * inputs


def milliseconds(backbone: Backbone, given: Assumptions) -> float:
    """Milliseconds of one core for a photo: decoding, and the engine."""
    return decoding(backbone, given) + 1000 / backbone.per_core


def cost_of(photos: float, backbone: Backbone, given: Assumptions) -> Cost:
    """What the features of so many photos cost.

    A machine's cores share its network: where that is slower, they wait for it and are paid all
    the same.
    """
    work = milliseconds(backbone, given)
    arriving = given.kilobytes * 8e3 * given.cores_a_node / (given.gigabits * 1e9) * 1000
    core_hours = photos * max(work, arriving) / 3.6e6
    return Cost(
        core_hours=core_hours,
        dollars=core_hours * given.dollars + photos / 1e6 * given.requests,
        kilowatt_hours=photos * work / 3.6e6 * given.watts / 1000,
        terabytes_in=photos * given.kilobytes / 1e9,
        terabytes_out=photos * backbone.dimension * 4 / 1e12,
        network_bound=arriving > work,
    )
