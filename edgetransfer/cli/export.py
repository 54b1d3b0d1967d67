"""``edgetransfer export``."""

from __future__ import annotations

from edgetransfer.cli.options import JsonOption, QuietOption
from edgetransfer.cli.terminal import print_json, print_line, show_log
from edgetransfer.settings.export import ExportSettings


def export(
    settings: ExportSettings, *, json_output: JsonOption = False, quiet: QuietOption = False
) -> None:
    """Write what a run learned as one ONNX file, or as a folder, to be given away.

    It is compared with the run on the run's own photos first. A stream may run meanwhile.

    Examples:

    edgetransfer export run --out pets.onnx

    edgetransfer export run --out model --merge-head

    edgetransfer predict model photo.jpg
    """
    from edgetransfer.jobs.exporting import export as export_run

    show_log(json_output or quiet)
    report = export_run(settings)
    if json_output:
        print_json(report)
        return
    if quiet:
        return
    verified = report["verified"]
    for name, why in verified["cannot"].items():
        print_line(f"not compared in {name}: {why}")
    differences = ", ".join(f"{n} {d:.0e}" for n, d in verified["difference"].items())
    print_line(
        f"compared   on {verified['on']}; largest difference of a probability: {differences}"
    )
    learned = f", {report['learned']} samples learned" if "learned" in report else ""
    print_line(
        f"saved in {settings.out}: {report['classes']} classes{learned}, {report['zeros']:,} "
        f"weights are zero; {', '.join(report['files'])}"
    )
