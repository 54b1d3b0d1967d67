"""``edgetransfer train``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from edgetransfer.cli.options import JsonOption, OverwriteOption, ResumeOption, check_resume
from edgetransfer.cli.terminal import print_json, print_line, show_log, shown_progress
from edgetransfer.errors import UsageError
from edgetransfer.settings.option import Opt
from edgetransfer.settings.train import LinearTraining

if TYPE_CHECKING:
    from edgetransfer.reports.train import AnyTrainingRecord, HeadDetails, TrialRecord


def train(
    settings: LinearTraining,
    *,
    also: Annotated[
        tuple[Path, ...],
        Opt("Other labels of the same photos: a run each, OUT/NAME; repeat.", metavar="DATA"),
    ] = (),
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
    json_output: JsonOption = False,
) -> None:
    r"""Train a linear classifier of your own photos on a backbone's features.

    Examples:

    edgetransfer train --data photos --out run

    edgetransfer train --data photos --out run --online --epochs 20

    edgetransfer train --data photos --out run --online --recipe paper

    edgetransfer train --data colours.csv --also shapes.csv --out runs

    edgetransfer train --backbone net.onnx --mean 0.5,0.5,0.5 \
        --std 0.5,0.5,0.5 --data photos.csv --out run --solver sgd --json
    """
    from edgetransfer.train import train_linear

    if settings.epochs is not None and settings.solver != "sgd":
        raise UsageError(
            f"--epochs is SGD's, and --solver {settings.solver} fits the head at once: leave it "
            "out, or add --online (new views each epoch) or --solver sgd"
        )
    check_resume(resume=resume, overwrite=overwrite)
    show_log(json_output)
    several = [settings] if not also else label_sets(settings, also)
    reports = []
    for one in several:
        with shown_progress() as progress:
            reports.append(train_linear(one, resume=resume, overwrite=overwrite, progress=progress))
        if not json_output:
            show_outcome(reports[-1], one.out)
    if json_output:
        print_json(reports if also else reports[0])


def label_sets(settings: LinearTraining, also: tuple[Path, ...]) -> list[LinearTraining]:
    """One training for each of several label sets, in a folder of its name within ``out``.

    The photos that they share go through the backbone once: the first run leaves their features in
    the cache.

    Raises
    ------
    UsageError
        If two have one name, or features are not cached.
    """
    if settings.mode == "online":
        raise UsageError("--also needs features that are cached: leave --online out")
    sets = (Path(settings.data), *also)
    names = [data.stem for data in sets]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(
            f"two label sets are called {twice!r}, and so would be their runs in --out"
        )
    return [
        replace(settings, data=data, out=settings.out / name)
        for data, name in zip(sets, names, strict=True)
    ]


def show_outcome(report: AnyTrainingRecord, out: Path) -> None:
    """Render what every training reports."""
    from edgetransfer.metrics.conventions import TITLES
    from edgetransfer.reports.train import validated

    backbone, stages = report["backbone"], report["stages"]
    last = report["epochs"][-1]
    print_line(f"backbone   {backbone['name']}, {backbone['sparsity']:.1%} of its weights zero")
    print_line(f"data       {report['n_train']} training images, {report['n_classes']} classes")
    if "tried" in report:
        _show_candidates(report)
    elif "lbfgs" in report:
        lbfgs = report["lbfgs"]
        print_line(f"head       L-BFGS, {lbfgs['iterations']} iterations, l2 {lbfgs['l2']:.3g}")
    else:
        what = "training" if "trained" in report else "head"
        print_line(f"{what:<11}SGD, {len(report['epochs'])} epochs, loss {last['train_loss']:.4f}")
        median = sorted(e["seconds"] for e in report["epochs"])[len(report["epochs"]) // 2]
        print_line(f"an epoch   {median:.2f} s, {report['n_train'] / median:,.0f} images/s")
    validation = validated(report)
    if validation is not None:
        print_line(
            f"validation {validation['top1']:.1%} top-1, "
            f"{validation['mean_per_class']:.1%} mean per class"
        )
    if report["final"]:
        final = report["final"]
        print_line(
            f"test       {final['top1']:.1%} top-1, {final['mean_per_class']:.1%} mean per class "
            f"({report['n_test']} images)"
        )
    elif validation is None and "honest" not in report:
        print_line(
            "test       no test images; --val-fraction 0.2 holds some out, --test-data names some"
        )
    metric = report.get("metric")  # one of an earlier version does not say
    if metric and (report["final"] or validation):
        print_line(f"metric     {TITLES[metric['name']]} counts ({metric['reason']})")
    if "honest" in report:
        _show_honest(report)
    print_line(
        "time       " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in stages.items())
    )
    if report["skipped"]:
        print_line(f"skipped    {report['skipped']} images; see {out / 'skipped.jsonl'}")
    print_line(f"saved in   {out}")
    page = out / "report.html"
    if page.is_file():
        print_line(f"look at    {page}")
    print_line(f"try        edgetransfer predict {out} PHOTO.jpg")


def _show_candidates(report: HeadDetails) -> None:
    """Each solver on each map at its best penalty, the chosen one marked."""
    shown: dict[tuple[str, str], TrialRecord] = {}
    for trial in report["tried"]:
        shown.setdefault((trial["solver"], trial["map"]), trial)
    width = max(len(trial["solver"]) for trial in shown.values()) + 1
    for number, trial in enumerate(shown.values()):
        chosen = trial == report["chosen"]
        penalties = " and ".join(f"{penalty:.3g}" for penalty in trial["penalties"])
        accuracy = trial["accuracy"]
        scored = "not scored" if accuracy is None or accuracy != accuracy else f"{accuracy:.1%}"
        print_line(
            f"{'' if number else 'heads':<11}{'*' if chosen else ' '} {trial['solver']:<{width}}"
            f"{trial['map']:<10}{scored:>10}  penalty {penalties}"
        )


def _show_honest(report: HeadDetails) -> None:
    """What is known without test photos."""
    honest = report["honest"]
    if not honest["n"]:
        print_line(
            "unseen     one photo a class: none to leave out, so nothing is known of the accuracy"
        )
        return
    low, high = honest["interval"]
    print_line(
        f"unseen     {honest['top1']:.1%} top-1 ({low:.1%} to {high:.1%}), "
        f"{honest['mean_per_class']:.1%} mean per class ({honest['method']}, "
        f"{honest['n']} photos)"
    )
    if "calibration" not in report:
        return
    calibration = report["calibration"]
    print_line(
        f"certainty  off by {calibration['error']:.3f} on unseen photos "
        f"({calibration['error_before']:.3f} before calibration)"
    )
