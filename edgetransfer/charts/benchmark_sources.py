"""Where a benchmark's numbers come from, and how they differ from those that it repeats."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from edgetransfer.charts.benchmark_figures import Report


def provenance_section(report: Report) -> str:
    """The command, the code, checksums and settings: what it takes to measure the same again."""
    about = report.get("provenance", {})
    code = about.get("code", {})
    commit = code.get("commit")
    changed = ", with changes" if code.get("modified") else ""
    library = code.get("engine_library", {})
    machine = report["machine"]
    facts = [
        ("measured", f"{about.get('started') or ''} to {report.get('finished', '')}"),
        ("edgetransfer", code.get("version")),
        ("commit", None if commit is None else f"{commit}{changed}"),
        ("sha256 of its sources", code.get("source_sha256")),
        (f"sha256 of {library.get('file', 'its library')}", library.get("sha256")),
        *((f"sha256 of {b['name']}", b.get("sha256")) for b in report["backbones"]),
        *(
            (f"sha256 of {name}", f"{found['sha256']} ({found['photos']:,} photos)")
            for name, found in about.get("data", {}).items()
        ),
        ("virtual machine", {True: "yes", False: "no"}.get(machine.get("virtual", ""))),
        ("quota, cores", machine.get("quota")),
        *_settings(report.get("settings", {})),
    ]
    command = about.get("command")
    shown = "" if command is None else f"<pre><code>{escape(command)}</code></pre>"
    return (
        "<section><h2>How to repeat it</h2>"
        f"{shown}<p class='muted'>Or, to compare with it: edgetransfer benchmark --from-report "
        f"report.json --out again</p>{_listed(facts)}</section>"
    )


def _settings(settings: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    for name, value in sorted(settings.items()):
        if (
            value in (None, [], {})
            or isinstance(value, dict)
            or name in ("sha256", "versions", "cpu")
        ):
            continue
        yield (
            name.replace("_", " "),
            ", ".join(map(str, value)) if isinstance(value, list) else value,
        )


def _listed(facts: Iterable[tuple[str, Any]]) -> str:
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td class='fact'>{escape(str(value))}</td></tr>"
        for name, value in facts
        if value is not None
    )
    return f"<div class='wide'><table><tbody>{rows}</tbody></table></div>"


def repeated_section(report: Report) -> str:
    """Held against the report that it repeats; nothing if it repeats none."""
    found = report.get("repeats")
    if found is None:
        return ""
    same = "the same machine" if found["same_machine"] else "another machine"
    rows = "".join(
        f"<tr><th>{escape(row['backbone'])}, {escape(row['engine'])}, {escape(row['data'])}</th>"
        f"{_pair(row['speedup'], '{:.2f}×', 1)}{_pair(row['accuracy'], '{:.1f} %', 100)}</tr>"
        for row in found["rows"]
    )
    differing = "".join(
        f"<tr><th>{escape(d['what'])}: {escape(d['name'])}</th>"
        f"<td class='fact'>{escape(str(d['theirs']))}</td>"
        f"<td class='fact'>{escape(str(d['here']))}</td></tr>"
        for d in found["differences"]
    )
    unlike = (
        "<h3>What differs</h3><div class='wide'><table><thead><tr><th></th><th>theirs</th>"
        f"<th>here</th></tr></thead><tbody>{differing}</tbody></table></div>"
        if differing
        else "<p>Settings, versions, machine and checksums are the same.</p>"
    )
    return (
        "<section><h2>Against the report that it repeats</h2>"
        f"<p class='muted'>That was finished on {escape(str(found['date']))}; this is {same}.</p>"
        "<div class='wide'><table><thead><tr><th></th><th>speedup theirs</th><th>here</th><th></th>"
        "<th>accuracy theirs</th><th>here</th><th></th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div>{unlike}</section>"
    )


def _pair(pair: Mapping[str, Any] | None, form: str, times: float) -> str:
    if pair is None:
        return "<td>–</td><td>–</td><td></td>"
    cells = "".join(
        f"<td>{form.format(times * value)} "
        f"<small>{form.format(times * low)} to {form.format(times * high)}</small></td>"
        for value, low, high in (pair["theirs"], pair["here"])
    )
    says = "within" if pair["agrees"] else "<span class='mark'>apart</span>"
    return f"{cells}<td>{says}</td>"
