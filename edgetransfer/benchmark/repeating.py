"""A colleague's benchmark, repeated here and held against theirs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from edgetransfer.backbones.catalogue import bundled
from edgetransfer.errors import DataError, UsageError
from edgetransfer.metrics import wilson_interval
from edgetransfer.settings.benchmark import BenchmarkSettings, SyntheticFamily
from edgetransfer.untrusted_json import json_value

Report = Mapping[str, Any]

PLACES = ("data", "baseline", "backbones")  # settings that say where something is
MACHINE = ("cpu", "memory_bytes", "governor", "system", "python", "versions")


def read_report(path: Path) -> dict[str, Any]:
    """The report of a benchmark.

    Raises
    ------
    DataError
        If it is none, or of a version that did not keep its settings.
    """
    file = path / "report.json" if path.is_dir() else path
    try:
        report: dict[str, Any] = json_value(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise DataError(f"{file}: is not JSON; --from-report takes a report.json") from error
    known = isinstance(report, dict) and {"rows", "settings", "machine"} <= report.keys()
    if not known or not isinstance(report["settings"], dict):
        raise DataError(
            f"{file}: is no benchmark's report.json, or of a version that kept no settings"
        )
    return report


def repeated(settings: BenchmarkSettings, report: Report) -> BenchmarkSettings:
    """The settings of a report; what is said here, and is not as usual, goes before.

    Raises
    ------
    UsageError
        If a backbone or data set of the report is not here, and it is not said where it is.
    """
    theirs = report["settings"]
    taken: dict[str, Any] = {}
    for field in fields(BenchmarkSettings):
        own = getattr(settings, field.name)
        if field.name in ("out", "from_report") or field.name not in theirs or own != field.default:
            continue
        taken[field.name] = _value(field.name, theirs[field.name])
    for name in PLACES:
        _check_here(name, taken.get(name), report)
    if settings.learning_rate is None and theirs.get("learning_rate") is not None:
        usual = replace(settings, **{**taken, "learning_rate": None, "from_report": None})
        if usual.to_config()["learning_rate"] == theirs["learning_rate"]:
            taken["learning_rate"] = None
    try:
        return replace(settings, **taken, from_report=None)
    except TypeError as error:
        raise DataError(f"{settings.from_report}: its settings cannot be read: {error}") from error


def _value(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name == "synthetic":
        return tuple(
            SyntheticFamily(architecture=v["architecture"], sparsities=tuple(v["sparsities"]))
            for v in value
        )
    if name == "data":
        return tuple(Path(v) for v in value)
    if name == "cache_dir":
        return None  # of their machine
    return tuple(value) if isinstance(value, list) else value


def _check_here(name: str, value: Any, report: Report) -> None:
    listed = () if value is None else (value,) if isinstance(value, str) else value
    for one in listed:
        if Path(one).exists() or (name != "data" and str(one) in bundled()):
            continue
        option = {"data": "--data", "baseline": "--baseline", "backbones": "--backbone"}[name]
        known = {b["file"]: b["sha256"] for b in report.get("backbones", [])}
        digest = known.get(Path(one).name)
        which = "" if digest is None else f" (its sha256 is {digest})"
        raise UsageError(f"{one} is not here{which}; say with {option} where it is")


def compared_with(report: Report, theirs: Report) -> dict[str, Any]:
    """How a repeated benchmark's outcome differs from the one that it repeats.

    Returns
    -------
    ``same_machine``, ``differences`` (of settings, versions, machine and checksums, a record
    each), and ``rows``: of each row in both the speedups, whether their intervals overlap, and
    likewise the accuracies.
    """
    return {
        "same_machine": report["machine"]["cpu"] == theirs["machine"]["cpu"],
        "date": theirs.get("finished"),
        "differences": [
            *_differing("settings", _plain(theirs["settings"]), _plain(report["settings"])),
            *_differing("machine", _machine(theirs), _machine(report)),
            *_differing("code", _code(theirs), _code(report)),
            *_differing("data", _contents(theirs), _contents(report)),
            *_differing("backbones", _digests(theirs), _digests(report)),
        ],
        "rows": _rows(report, theirs),
    }


def _differing(what: str, theirs: Report, ours: Report) -> list[dict[str, Any]]:
    return [
        {"what": what, "name": name, "theirs": theirs.get(name), "here": ours.get(name)}
        for name in dict.fromkeys((*theirs, *ours))
        if theirs.get(name) != ours.get(name)
    ]


def _plain(settings: Report) -> dict[str, Any]:
    """Settings that decide something; where things lie, and what is listed elsewhere, does not."""
    names = {field.name for field in fields(BenchmarkSettings)} - {*PLACES, "out", "cache_dir"}
    return {name: value for name, value in settings.items() if name in names}


def _machine(report: Report) -> dict[str, Any]:
    machine = report["machine"]
    found = {name: machine.get(name) for name in MACHINE if name not in ("cpu", "versions")}
    found |= {f"cpu {name}": value for name, value in machine["cpu"].items()}
    return found | {f"version of {name}": v for name, v in machine.get("versions", {}).items()}


def _code(report: Report) -> dict[str, Any]:
    code = report.get("provenance", {}).get("code", {})
    return {
        "commit": code.get("commit"),
        "sources": code.get("source_sha256"),
        "engine library": code.get("engine_library", {}).get("sha256"),
    }


def _contents(report: Report) -> dict[str, Any]:
    data = report.get("provenance", {}).get("data", {})
    return {f"data set {i}": found["sha256"] for i, found in enumerate(data.values(), 1)}


def _digests(report: Report) -> dict[str, Any]:
    return {b["name"]: b["sha256"] for b in report["backbones"]}


def _rows(report: Report, theirs: Report) -> list[dict[str, Any]]:
    known = dict(_keyed(theirs))
    found = []
    for key, row in _keyed(report):
        other = known.get(key)
        if other is None:
            continue
        tested = _tested(report, row["data"])
        found.append(
            {
                "backbone": row["backbone"],
                "engine": row["engine"],
                "data": row["data"],
                "speedup": _pair(_speedup(other), _speedup(row)),
                "accuracy": _pair(_accuracy(other, tested), _accuracy(row, tested)),
            }
        )
    return found


def _keyed(report: Report) -> list[tuple[tuple[str, str, int], dict[str, Any]]]:
    places = {data["name"]: place for place, data in enumerate(report["data"])}
    return [((row["backbone"], row["engine"], places[row["data"]]), row) for row in report["rows"]]


_Interval = tuple[float, float, float]
"""A value, and its interval's ends."""


def _pair(theirs: _Interval | None, ours: _Interval | None) -> dict[str, Any] | None:
    if theirs is None or ours is None:
        return None
    return {
        "theirs": list(theirs),
        "here": list(ours),
        "agrees": max(theirs[1], ours[1]) <= min(theirs[2], ours[2]),
    }


def _speedup(row: Report) -> _Interval | None:
    fraction = row.get("fraction_of_baseline")
    if fraction is None or row["baseline"]:
        return None
    return 1 / fraction["median"], 1 / fraction["high"], 1 / fraction["low"]


def _accuracy(row: Report, tested: int) -> _Interval | None:
    value = row.get(row.get("metric", "top1"))
    if value is None or not tested:
        return None
    return value, *wilson_interval(round(value * tested), tested)


def _tested(report: Report, name: str) -> int:
    return int(next(data["n_test"] for data in report["data"] if data["name"] == name))
