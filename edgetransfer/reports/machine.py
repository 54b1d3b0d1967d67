"""The reports of ``tune`` and ``doctor``."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from edgetransfer.reports.shared import BackboneRecord


class CpuRecord(TypedDict):
    """The processor: cores that may be used, logical ones that there are, extensions that help."""

    model: str
    cores: int
    logical: int | None
    flags: list[str]


class MachineRecord(TypedDict):
    """What was measured on."""

    cpu: str
    cores: int


class MeasuredEngineRecord(TypedDict):
    """An engine as it was measured alone.

    Keys
    ----
    reduced
        In which precision it computes, where that is not float32.
    difference
        Of its features from the reference engine's, over the largest one.
    reason
        Why it was not measured, or is not used.
    """

    name: str
    reduced: str | None
    difference: float | None
    version: str | None
    images_per_second: float | None
    reason: str | None


class TriedPlanRecord(TypedDict):
    """A way to run the whole pipeline, and how fast it was."""

    engine: str
    streams: int
    batch_size: int | None
    workers: int | None
    pinned: bool
    images_per_second: float


class PlanRecord(TypedDict):
    """The plan that is kept.

    Keys
    ----
    images_per_second
        Of each engine alone.
    """

    engine: str
    streams: int
    batch_size: NotRequired[int]
    workers: NotRequired[int]
    pinned: bool
    images_per_second: NotRequired[dict[str, float]]


class TuneRecord(TypedDict):
    """The report of ``tune``.

    Keys
    ----
    photos
        How many were measured with.
    file
        Where the plan is kept.
    """

    backbone: BackboneRecord
    machine: MachineRecord
    photos: int
    engines: list[MeasuredEngineRecord]
    trials: list[TriedPlanRecord]
    plan: PlanRecord
    file: str
    seconds: float
    warnings: list[str]


class UsualEngineRecord(TypedDict):
    """Which engine is tried first here, and why."""

    name: str
    reason: str


class KernelsRecord(TypedDict):
    """The project's own engine: why it is absent, and which kernels run."""

    absent: NotRequired[str | None]
    kernels: str | None


class TunedRecord(TypedDict):
    """A backbone that ``tune`` measured here."""

    backbone: str
    engine: str
    reason: str


class DoctorRecord(TypedDict):
    """The report of ``doctor``.

    Keys
    ----
    packages
        Versions; null where a package is absent.
    engines
        Why an engine cannot be had; null if it can.
    notice
        Where licences are told.
    cache
        The folder of caches.
    """

    python: str
    system: str
    packages: dict[str, str | None]
    cpu: CpuRecord
    engine: UsualEngineRecord
    sparse: KernelsRecord
    engines: dict[str, str | None]
    tuned: list[TunedRecord]
    notice: str | None
    backbones: list[str]
    cache: str
