"""``edgetransfer finetune``."""

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
    parse_triple,
)
from edgetransfer.cli.terminal import print_json, say, show_log, shown_progress
from edgetransfer.cli.train import show_outcome
from edgetransfer.defaults import DEFAULT_BACKBONE

EXAMPLES = """\
Examples:

edgetransfer finetune --backbone sparse.onnx --data photos --out run \\
    --epochs 10

edgetransfer finetune --backbone sparse.onnx --data photos --out run \\
    --only last-block

edgetransfer finetune --backbone sparse.onnx --teacher dense.onnx \\
    --data photos --out run --epochs 10 --optimizer adam \\
    --head-init linear --refit-head

edgetransfer finetune --data photos --out run --head-init linear \\
    --batchnorm restore --learning-rate 0.01 --json

edgetransfer finetune --backbone sparse.onnx --data photos --out run \\
    --recipe paper
"""

_WHAT = "What is trained"
_LOSS = "Loss"
_TORCH = "torch"


def finetune(
    data: DataOption,
    out: OutOption,
    backbone: BackboneOption = DEFAULT_BACKBONE,
    test_data: TestDataOption = None,
    recipe: RecipeOption = "default",
    epochs: Annotated[
        int | None,
        typer.Option(
            "--epochs", metavar="N", min=1, help="Default: 20; 150 by the paper's recipe."
        ),
    ] = None,
    batch_size: BatchSizeOption = 64,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            "--learning-rate",
            metavar="X",
            help="The highest; 0.001, or 0.0003 with adam. With sgd and batch-norm 0.01 pays where "
            "a linear head is weak.",
        ),
    ] = None,
    optimizer: Annotated[
        str,
        typer.Option(
            "--optimizer",
            metavar="sgd|adam",
            help="adam where batch-norm is folded into convolutions and epochs are few.",
        ),
    ] = "sgd",
    schedule: Annotated[
        str,
        typer.Option(
            "--schedule",
            metavar="auto|step|cosine",
            help="Of the learning rate: a tenth after each third of the epochs (auto with sgd), "
            "or along a cosine (auto with adam).",
        ),
    ] = "auto",
    momentum: MomentumOption = 0.9,
    weight_decay: WeightDecayOption = 5e-4,
    from_layer: Annotated[
        str | None,
        typer.Option(
            "--from-layer",
            metavar="NAME",
            help="Train from these weights on (names: edgetransfer inspect); what comes before "
            "runs in the sparse engine.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    only: Annotated[
        str,
        typer.Option(
            "--only",
            metavar="all|batchnorm|bias|last-block",
            help="Train these alone, and the head.",
            rich_help_panel=_WHAT,
        ),
    ] = "all",
    cached_frozen: Annotated[
        bool,
        typer.Option(
            "--cached-frozen",
            help="Run the frozen part once, without augmentation, and keep its output.",
            rich_help_panel=_WHAT,
        ),
    ] = False,
    head_init: Annotated[
        str,
        typer.Option(
            "--head-init",
            metavar="kaiming|linear",
            help="Start from a fresh head, or from the linear one.",
            rich_help_panel=_WHAT,
        ),
    ] = "kaiming",
    head_bias: Annotated[
        bool,
        typer.Option(
            "--head-bias/--no-head-bias",
            help="Give the head a bias; STR's networks have none.",
            rich_help_panel=_WHAT,
        ),
    ] = True,
    refit_head: Annotated[
        bool,
        typer.Option(
            "--refit-head",
            help="Fit an L-BFGS head to the finetuned features at the end.",
            rich_help_panel=_WHAT,
        ),
    ] = False,
    layer_decay: Annotated[
        float,
        typer.Option(
            "--layer-decay",
            metavar="X",
            help="Each layer learns X times as fast as the next.",
            rich_help_panel=_WHAT,
        ),
    ] = 1.0,
    batchnorm: Annotated[
        str,
        typer.Option(
            "--batchnorm",
            metavar="auto|keep|restore",
            help="restore: put batch-norm back where it was folded into convolutions; auto does "
            "by the paper's recipe alone.",
            rich_help_panel=_WHAT,
        ),
    ] = "auto",
    mask: Annotated[
        str | None,
        typer.Option(
            "--mask",
            metavar="FILE",
            help="Use the zeros of another backbone.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    normalise: Annotated[
        str,
        typer.Option(
            "--normalise",
            metavar="auto|data|augmented|card",
            help="Input by the data set's own mean and deviation (of eval views, or of augmented "
            "ones), or by the card's. auto: data if all layers are trained and the card has "
            "ImageNet's; augmented by the paper's recipe.",
            rich_help_panel=_WHAT,
        ),
    ] = "auto",
    label_smoothing: Annotated[
        float,
        typer.Option("--label-smoothing", metavar="X", rich_help_panel=_LOSS),
    ] = 0.0,
    mixup: Annotated[
        float,
        typer.Option(
            "--mixup",
            metavar="ALPHA",
            help="Mix images in pairs; 0.2 is usual.",
            rich_help_panel=_LOSS,
        ),
    ] = 0.0,
    teacher: Annotated[
        str | None,
        typer.Option(
            "--teacher",
            metavar="FILE",
            help="ONNX file to learn from: an output for each class, or features as long as the "
            "backbone's, such as the dense backbone that it was made from.",
            rich_help_panel=_LOSS,
        ),
    ] = None,
    teacher_weight: Annotated[
        float,
        typer.Option(
            "--teacher-weight",
            metavar="X",
            help="Its share of the loss.",
            rich_help_panel=_LOSS,
        ),
    ] = 0.5,
    temperature: Annotated[
        float, typer.Option("--temperature", metavar="X", rich_help_panel=_LOSS)
    ] = 2.0,
    precision: Annotated[
        str,
        typer.Option(
            "--precision",
            metavar="auto|float32|bfloat16",
            help="auto: bfloat16 where the processor has it.",
            rich_help_panel=_TORCH,
        ),
    ] = "auto",
    micro_batch: Annotated[
        int | None,
        typer.Option(
            "--micro-batch",
            metavar="N",
            min=1,
            help="Images at once, of a batch; 16, or 32 with batch-norm, or the whole batch by the "
            "paper's recipe.",
            rich_help_panel=_TORCH,
        ),
    ] = None,
    checkpointing: Annotated[
        bool,
        typer.Option(
            "--checkpointing",
            help="Less memory, a third more time.",
            rich_help_panel=_TORCH,
        ),
    ] = False,
    device: Annotated[
        str,
        typer.Option("--device", metavar="auto|cpu|cuda|mps", rich_help_panel=_TORCH),
    ] = "auto",
    baseline: Annotated[
        bool,
        typer.Option(
            "--baseline/--no-baseline", help="Fit a linear head first, to say what it reaches."
        ),
    ] = True,
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
    """Train all non-zero weights of a sparse backbone on your own photos; the zeros stay zero."""
    from edgetransfer.finetune import FinetuneSettings
    from edgetransfer.finetune import finetune as run_finetuning
    from edgetransfer.train import LinearTraining

    check_resume(resume=resume, overwrite=overwrite)
    training = LinearTraining(
        backbone=backbone,
        data=data,
        out=out,
        test_data=test_data,
        recipe=recipe,  # type: ignore[arg-type]
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        momentum=momentum,
        weight_decay=weight_decay,
        min_crop=min_crop,
        flip=flip,
        seed=seed,
        val_fraction=val_fraction,
        max_bad=max_bad,
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
        metric=metric,  # type: ignore[arg-type]
        report=report,
    )
    own = FinetuneSettings(
        optimizer=optimizer,  # type: ignore[arg-type]
        schedule=schedule,  # type: ignore[arg-type]
        refit_head=refit_head,
        head_init=head_init,  # type: ignore[arg-type]
        head_bias=head_bias,
        from_layer=from_layer,
        only=only,  # type: ignore[arg-type]
        layer_decay=layer_decay,
        batchnorm=batchnorm,  # type: ignore[arg-type]
        mask=mask,
        teacher=teacher,
        teacher_weight=teacher_weight,
        temperature=temperature,
        label_smoothing=label_smoothing,
        mixup=mixup,
        normalise=normalise,  # type: ignore[arg-type]
        precision=precision,  # type: ignore[arg-type]
        micro_batch=micro_batch,
        checkpointing=checkpointing,
        cached_frozen=cached_frozen,
        device=device,  # type: ignore[arg-type]
        baseline=baseline,
    )
    show_log(json_output)
    with shown_progress() as progress:
        result = run_finetuning(
            training, own, resume=resume, overwrite=overwrite, progress=progress
        )
    if json_output:
        print_json(result)
    else:
        _show(result, out)


def _show(report: dict[str, Any], out: Path) -> None:
    from edgetransfer.metrics.conventions import TITLES

    trained, masked = report["trained"], report["masked"]
    say(
        f"trained    {trained['parameters']:,} values from {trained['from']} on, "
        f"{trained['precision']}"
    )
    say(f"zeros      {masked['before']:,} before, {masked['after']:,} after")
    linear = report["linear"]
    if linear is not None:
        metric = report["metric"]
        reached = linear[metric["name"]] or 0
        say(f"linear     {reached:.1%} {TITLES[metric['name']]} ({linear['on']})")
    show_outcome(report, out)


finetune.__doc__ = f"{finetune.__doc__}\n\n{EXAMPLES}"
