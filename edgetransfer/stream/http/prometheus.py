"""A snapshot in the Prometheus text format, version 0.0.4."""

from __future__ import annotations

from itertools import islice

from edgetransfer.stream.snapshot import Snapshot

SERIES = 100  # classes that have a series of their own: clients choose their names and number
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def exposition(snapshot: Snapshot) -> str:
    """All metrics, one family after the other."""
    report = snapshot.report
    lines: list[str] = []

    def family(name: str, kind: str, text: str, *samples: tuple[str, float | None]) -> None:
        given = [(labels, value) for labels, value in samples if value is not None]
        if given:
            lines.append(f"# HELP edgetransfer_{name} {text}")
            lines.append(f"# TYPE edgetransfer_{name} {kind}")
            lines.extend(f"edgetransfer_{name}{labels} {value!r}" for labels, value in given)

    if report:
        for name, text in (
            ("accepted", "Samples accepted"),
            ("learned", "Samples learned"),
            ("expired", "Unlabelled samples that left before their label came"),
            ("refits", "L-BFGS refits decided on"),
            ("adopted", "L-BFGS refits adopted"),
            ("relabelled", "Samples given another label"),
            ("forgotten", "Samples taken away again"),
        ):
            family(f"{name}_total", "counter", f"{text} by this run.", ("", report.get(name)))
        family("drift_alarms_total", "counter", "Drift alarms.", ("", report["drift"]["alarms"]))
        family("classes", "gauge", "Classes known.", ("", report["classes"]))
        for name, text in (
            ("reservoir", "Feature rows remembered."),
            ("kept_rows", "Feature rows that the head is calibrated by."),
        ):
            family(f"{name.removesuffix('_rows')}_rows", "gauge", text, ("", report.get(name)))
        family("known_samples", "gauge", "That the head is made of.", ("", report.get("known")))
        stepping = {"statistics": 0, "replay": 1}.get(str(report.get("answers")))
        family("answers_replay", "gauge", "Whether steps answer: --learner auto.", ("", stepping))
        for name, key in (("top1", "top1"), ("mean_per_class", "mean_per_class")):
            family(
                f"prequential_{name}",
                "gauge",
                "Test-then-train accuracy, 0 to 1.",
                *(
                    (f'{{over="{over}"}}', report[field][key])
                    for over, field in (
                        ("all", "prequential"),
                        ("window", "window"),
                        ("fading", "fading"),
                    )
                ),
            )
        family(
            "class_samples_total",
            "counter",
            "Samples learned, by class.",
            *(
                (f'{{class="{name.translate(_ESCAPES)}"}}', count)
                for name, count in islice(report["class_counts"].items(), SERIES)
            ),
        )
        rest = sum(islice(report["class_counts"].values(), SERIES, None))
        family(
            "other_class_samples_total",
            "counter",
            f"Samples learned of all classes beyond the first {SERIES}.",
            ("", rest),
        )
        family(
            "confused_total",
            "counter",
            "The most frequent mistakes of test-then-train.",
            *(
                (
                    f'{{class="{pair["class"].translate(_ESCAPES)}",'
                    f'predicted="{pair["predicted"].translate(_ESCAPES)}"}}',
                    pair["times"],
                )
                for pair in report["confused"]
            ),
        )
    family("refused_total", "counter", "Samples refused since the start.", ("", snapshot.refused))
    family("samples_per_second", "gauge", "Samples accepted a second.", ("", snapshot.per_second))
    family("queued", "gauge", "Samples that wait.", ("", snapshot.queued))
    family("paused", "gauge", "1 while nothing is taken in.", ("", float(bool(snapshot.paused))))
    family("journal_bytes", "gauge", "Bytes of the journal.", ("", snapshot.journal_bytes))
    if snapshot.latency is not None:
        family(
            "latency_seconds",
            "gauge",
            "From arrival to acknowledgement.",
            ('{quantile="0.5"}', snapshot.latency[0]),
            ('{quantile="0.99"}', snapshot.latency[1]),
        )
    return "\n".join(lines) + "\n"
