"""Metrics in the Prometheus text format, version 0.0.4."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


@dataclass(frozen=True)
class Family:
    """One metric, without its prefix, and its value; or one of several with ``labels``."""

    name: str
    kind: Literal["counter", "gauge"]
    text: str
    value: float | None
    labels: dict[str, str] = field(default_factory=dict)


def exposition(families: Iterable[Family]) -> str:
    """All metrics, one line each; families of one name stand together and are described once."""
    lines: list[str] = []
    before = ""
    for family in families:
        if family.value is None:
            continue
        name = f"edgetransfer_{family.name}"
        if name != before:
            lines += [f"# HELP {name} {family.text}", f"# TYPE {name} {family.kind}"]
        before = name
        labels = ",".join(f'{k}="{v.translate(_ESCAPES)}"' for k, v in family.labels.items())
        lines.append(f"{name}{f'{{{labels}}}' if labels else ''} {family.value!r}")
    return "".join(f"{line}\n" for line in lines)


def quantiles(name: str, text: str, values: Sequence[float]) -> list[Family]:
    """Median and 99th percentile; none of no values."""
    ordered = sorted(values)
    return [
        Family(name, "gauge", text, ordered[int(q * (len(ordered) - 1))], {"quantile": str(q)})
        for q in (0.5, 0.99)
        if ordered
    ]
