"""``edgetransfer train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edgetransfer.cli.options import (
    BackboneOption,
    BatchSizeOption,
    CacheOption,
    DataOption,
    EngineOption,
    FeaturesOption,
    FlipOption,
    InterpolationOption,
    JsonOption,
    LearningRateOption,
    MaxBadOption,
    MeanOption,
    MetricOption,
    MinCropOption,
    MomentumOption,
    NormalisationOption,
    OutOption,
    OverwriteOption,
    RecipeOption,
    ReportOption,
    ResizeOption,
    ResumeOption,
    SeedOption,
    SizeOption,
    StdOption,
    TestDataOption,
    ThreadsOption,
    ValFractionOption,
    WeightDecayOption,
    WorkersOption,
    check_resume,
    parse_automatic,
    parse_l2,
    parse_triple,
)
from edgetransfer.cli.terminal import print_json, say, show_log, shown_progress
from edgetransfer.defaults import DEFAULT_BACKBONE

EXAMPLES = """\
Examples:

edgetransfer train --data photos --out run

edgetransfer train --data photos --out run --online --epochs 20

edgetransfer train --data photos --out run --online --recipe paper

edgetransfer train --backbone net.onnx --mean 0.5,0.5,0.5 \\
    --std 0.5,0.5,0.5 --data photos.csv --out run --solver sgd --json
"""


def train(
    data: DataOption,
    out: OutOption,
    backbone: BackboneOption = DEFAULT_BACKBONE,
    test_data: TestDataOption = None,
    cached: Annotated[
        bool | None,
        typer.Option(
            "--cached/--online",
            help="Features once without augmentation (default), or new augmented views each epoch.",
            show_default=False,
        ),
    ] = None,
    solver: Annotated[
        str | None,
        typer.Option(
            "--solver",
            metavar="auto|ridge|lda|lbfgs|sgd",
            help="auto: the best of ridge, lda and their blend by leave-one-out. Default: auto "
            "with --cached, else sgd.",
        ),
    ] = None,
    recipe: RecipeOption = "default",
    epochs: Annotated[
        int | None,
        typer.Option(
            "--epochs",
            metavar="N",
            min=1,
            help="Of SGD. Default: 150 cached, 20 online, 150 by the paper's recipe.",
        ),
    ] = None,
    batch_size: BatchSizeOption = 64,
    learning_rate: LearningRateOption = None,
    momentum: MomentumOption = 0.9,
    weight_decay: WeightDecayOption = 5e-4,
    l2: Annotated[
        str,
        typer.Option(
            "--l2",
            metavar="auto|X",
            help="Penalty of L-BFGS; auto chooses on held-out training images.",
        ),
    ] = "auto",
    penalty: Annotated[
        str,
        typer.Option(
            "--penalty",
            metavar="auto|X",
            help="Of ridge and lda, in units of a feature's mean scatter; auto chooses by "
            "leave-one-out.",
        ),
    ] = "auto",
    feature_map: Annotated[
        str,
        typer.Option(
            "--feature-map",
            metavar="auto|raw|l2|power|power-l2|relu",
            help="What is done to features before ridge and lda.",
        ),
    ] = "auto",
    class_weights: Annotated[
        str,
        typer.Option(
            "--class-weights",
            metavar="none|balanced",
            help="Of ridge and lda: balanced makes each class count alike.",
        ),
    ] = "none",
    standardize: Annotated[
        bool, typer.Option("--standardize", help="Standardise features; folded into the head.")
    ] = False,
    min_crop: MinCropOption = 0.08,
    flip: FlipOption = True,
    seed: SeedOption = 0,
    val_fraction: ValFractionOption = 0.0,
    max_bad: MaxBadOption = 0.05,
    metric: MetricOption = "auto",
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
    engine: EngineOption = "auto",
    threads: ThreadsOption = None,
    workers: WorkersOption = None,
    cache_dir: CacheOption = None,
    features: FeaturesOption = None,
    size: SizeOption = None,
    resize: ResizeOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    interpolation: InterpolationOption = None,
    normalisation: NormalisationOption = None,
    report: ReportOption = True,
    json_output: JsonOption = False,
) -> None:
    """Train a linear classifier of your own photos on a backbone's features."""
    from edgetransfer.train import LinearTraining, train_linear

    check_resume(resume=resume, overwrite=overwrite)
    settings = LinearTraining(
        backbone=backbone,
        data=data,
        out=out,
        test_data=test_data,
        mode="online" if cached is False else "cached",
        solver=solver,  # type: ignore[arg-type]
        recipe=recipe,  # type: ignore[arg-type]
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        momentum=momentum,
        weight_decay=weight_decay,
        l2=parse_l2(l2),
        penalty=parse_automatic("--penalty", penalty),
        feature_map=feature_map,  # type: ignore[arg-type]
        class_weights=class_weights,  # type: ignore[arg-type]
        standardize=standardize,
        min_crop=min_crop,
        flip=flip,
        seed=seed,
        val_fraction=val_fraction,
        max_bad=max_bad,
        metric=metric,  # type: ignore[arg-type]
        engine=engine,
        threads=threads,
        workers=workers,
        cache_dir=cache_dir,
        features=features,
        size=size,
        resize=resize,
        mean=parse_triple("--mean", mean),
        std=parse_triple("--std", std),
        interpolation=interpolation,  # type: ignore[arg-type]
        normalisation=normalisation,
        report=report,
    )
    show_log(json_output)
    with shown_progress() as progress:
        result = train_linear(settings, resume=resume, overwrite=overwrite, progress=progress)
    if json_output:
        print_json(result)
    else:
        show_outcome(result, out)


def show_outcome(report: dict[str, Any], out: Path) -> None:
    """Render what every training reports."""
    from edgetransfer.metrics.conventions import TITLES

    backbone, stages = report["backbone"], report["stages"]
    last = report["epochs"][-1]
    say(f"backbone   {backbone['name']}, {backbone['sparsity']:.1%} of its weights zero")
    say(f"data       {report['n_train']} training images, {report['n_classes']} classes")
    if "tried" in report:
        _show_candidates(report)
    elif report["solver"] == "lbfgs":
        lbfgs = report["lbfgs"]
        say(f"head       L-BFGS, {lbfgs['iterations']} iterations, l2 {lbfgs['l2']:.3g}")
    else:
        what = "training" if "trained" in report else "head"
        say(f"{what:<11}SGD, {len(report['epochs'])} epochs, loss {last['train_loss']:.4f}")
        median = sorted(e["seconds"] for e in report["epochs"])[len(report["epochs"]) // 2]
        say(f"an epoch   {median:.2f} s, {report['n_train'] / median:,.0f} images/s")
    if "val_top1" in last:
        say(
            f"validation {last['val_top1']:.1%} top-1, "
            f"{last['val_mean_per_class']:.1%} mean per class"
        )
    if report["final"]:
        final = report["final"]
        say(
            f"test       {final['top1']:.1%} top-1, {final['mean_per_class']:.1%} mean per class "
            f"({report['n_test']} images)"
        )
    elif "val_top1" not in last and "honest" not in report:
        say("test       no test images; --val-fraction 0.2 holds some out, --test-data names some")
    if report["final"] or "val_top1" in last:
        metric = report["metric"]
        say(f"metric     {TITLES[metric['name']]} counts ({metric['reason']})")
    if "honest" in report:
        _show_honest(report)
    say("time       " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in stages.items()))
    if report["skipped"]:
        say(f"skipped    {report['skipped']} images; see {out / 'skipped.jsonl'}")
    say(f"saved in   {out}")
    say(f"try        edgetransfer predict {out} PHOTO.jpg")


def _show_candidates(report: dict[str, Any]) -> None:
    """Each solver on each map at its best penalty, the chosen one marked."""
    shown: dict[tuple[str, str], dict[str, Any]] = {}
    for trial in report["tried"]:
        shown.setdefault((trial["solver"], trial["map"]), trial)
    for number, trial in enumerate(shown.values()):
        chosen = trial == report["chosen"]
        penalties = " and ".join(f"{penalty:.3g}" for penalty in trial["penalties"])
        accuracy = trial["accuracy"]
        scored = "not scored" if accuracy is None or accuracy != accuracy else f"{accuracy:.1%}"
        say(
            f"{'' if number else 'heads':<11}{'*' if chosen else ' '} {trial['solver']:<10}"
            f"{trial['map']:<10}{scored:>10}  penalty {penalties}"
        )


def _show_honest(report: dict[str, Any]) -> None:
    """What is known without test photos."""
    honest = report["honest"]
    if not honest["n"]:
        say("unseen     one photo a class: none to leave out, so nothing is known of the accuracy")
        return
    low, high = honest["interval"]
    say(
        f"unseen     {honest['top1']:.1%} top-1 ({low:.1%} to {high:.1%}), "
        f"{honest['mean_per_class']:.1%} mean per class ({honest['method']}, "
        f"{honest['n']} photos)"
    )
    if "calibration" not in report:
        return
    calibration = report["calibration"]
    say(
        f"certainty  off by {calibration['error']:.3f} on unseen photos "
        f"({calibration['error_before']:.3f} before calibration)"
    )


train.__doc__ = f"{train.__doc__}\n\n{EXAMPLES}"
