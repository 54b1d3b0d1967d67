"""``edgetransfer stream``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edgetransfer.cli.options import (
    BackboneOption,
    EngineOption,
    FeaturesOption,
    InterpolationOption,
    JsonOption,
    MeanOption,
    NormalisationOption,
    ResizeOption,
    SizeOption,
    StdOption,
    ThreadsOption,
    WorkersOption,
    parse_bytes,
    parse_l2,
    parse_triple,
)
from edgetransfer.cli.stopping import graceful
from edgetransfer.cli.stream_panel import shown_stream
from edgetransfer.cli.terminal import print_json, say, show_log
from edgetransfer.defaults import DEFAULT_BACKBONE

_LEARNING, _SOURCE, _KEEPING, _MACHINE = "Learning", "Source", "Keeping", "Machine"

EXAMPLES = """\
It goes on where the run stopped; SIGTERM or Ctrl-C finishes what is in hand and saves.

Examples:

edgetransfer stream --source folder:incoming --out run

producer | edgetransfer stream --source jsonl:- --out run --json

edgetransfer stream --source http:8080 --out run

edgetransfer stream --source 'tar:shards/*.tar' --repeat --views 1 --out run
"""


def stream(
    source: Annotated[
        str,
        typer.Option(
            "--source",
            metavar="KIND:WHAT",
            help="folder:DIR, jsonl:- (or a file), tar:GLOB, http:[HOST:]PORT or video:FILE.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="RUN", help="The run folder, new or to go on with."),
    ],
    backbone: BackboneOption = DEFAULT_BACKBONE,
    test_data: Annotated[
        Path | None,
        typer.Option("--test-data", metavar="DIR|MANIFEST", help="Images to test on at the end."),
    ] = None,
    learner: Annotated[
        str | None,
        typer.Option(
            "--learner",
            metavar="statistics|replay",
            help="Solve the head from exact sums, whatever the order; or step by SGD, with memory.",
            rich_help_panel=_LEARNING,
        ),
    ] = None,
    batch_size: Annotated[
        int,
        typer.Option(
            "--batch-size",
            metavar="N",
            min=1,
            help="Of replay: labelled samples scored and learned at a time.",
            rich_help_panel=_LEARNING,
        ),
    ] = 32,
    replay: Annotated[
        int,
        typer.Option(
            "--replay",
            metavar="N",
            min=1,
            help="SGD steps per batch, all of them with remembered features.",
            rich_help_panel=_LEARNING,
        ),
    ] = 8,
    learning_rate: Annotated[
        float,
        typer.Option("--learning-rate", metavar="X", help="Of replay.", rich_help_panel=_LEARNING),
    ] = 0.01,
    momentum: Annotated[
        float, typer.Option("--momentum", metavar="X", help="Of replay.", rich_help_panel=_LEARNING)
    ] = 0.9,
    weight_decay: Annotated[
        float,
        typer.Option("--weight-decay", metavar="X", help="Of replay.", rich_help_panel=_LEARNING),
    ] = 5e-4,
    views: Annotated[
        int,
        typer.Option(
            "--views",
            metavar="N",
            min=0,
            help="Augmented views of each image to learn; 0 for the eval view alone.",
            rich_help_panel=_LEARNING,
        ),
    ] = 0,
    class_weights: Annotated[
        bool,
        typer.Option(
            "--class-weights",
            help="Of replay: new samples of rare classes count more.",
            rich_help_panel=_LEARNING,
        ),
    ] = False,
    reservoir: Annotated[
        str,
        typer.Option(
            "--reservoir",
            metavar="BYTES",
            help="Of replay: memory of remembered features, such as 64M.",
            rich_help_panel=_LEARNING,
        ),
    ] = "64M",
    refit_every: Annotated[
        int,
        typer.Option(
            "--refit-every",
            metavar="N",
            min=0,
            help="Samples to the first L-BFGS refit; the distance doubles. 0 for none.",
            rich_help_panel=_LEARNING,
        ),
    ] = 1024,
    l2: Annotated[
        str,
        typer.Option(
            "--l2", metavar="auto|X", help="Penalty of the refits.", rich_help_panel=_LEARNING
        ),
    ] = "auto",
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, rich_help_panel=_LEARNING)] = 0,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            metavar="N",
            min=1,
            help="End when the run has accepted so many samples.",
            rich_help_panel=_SOURCE,
        ),
    ] = None,
    repeat: Annotated[
        bool,
        typer.Option("--repeat", help="Begin tar shards anew, for ever.", rich_help_panel=_SOURCE),
    ] = False,
    once: Annotated[
        bool,
        typer.Option(
            "--once",
            help="End when all that is in the folder has been seen.",
            rich_help_panel=_SOURCE,
        ),
    ] = False,
    label: Annotated[
        str | None,
        typer.Option(
            "--label", metavar="CLASS", help="Of a video's frames.", rich_help_panel=_SOURCE
        ),
    ] = None,
    every: Annotated[
        int,
        typer.Option(
            "--every",
            metavar="N",
            min=1,
            help="Take each N-th frame of a video.",
            rich_help_panel=_SOURCE,
        ),
    ] = 1,
    acknowledge: Annotated[
        bool,
        typer.Option(
            "--acknowledge",
            help="Answer each JSON line with one on stdout, once it is on disk.",
            rich_help_panel=_SOURCE,
        ),
    ] = False,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            metavar="TEXT",
            envvar="EDGETRANSFER_TOKEN",
            help="That HTTP clients must show; needed beyond loopback.",
            rich_help_panel=_SOURCE,
        ),
    ] = None,
    host_name: Annotated[
        list[str] | None,
        typer.Option(
            "--host-name",
            metavar="NAME",
            help="That the HTTP server answers to, beside its own; may be repeated.",
            rich_help_panel=_SOURCE,
        ),
    ] = None,
    max_body: Annotated[
        str,
        typer.Option(
            "--max-body",
            metavar="BYTES",
            help="Of one HTTP request or JSON line.",
            rich_help_panel=_SOURCE,
        ),
    ] = "16M",
    journal_bytes: Annotated[
        str,
        typer.Option(
            "--journal-bytes",
            metavar="BYTES",
            help="Disk that the journal may take.",
            rich_help_panel=_KEEPING,
        ),
    ] = "256M",
    checkpoint_seconds: Annotated[
        float,
        typer.Option(
            "--checkpoint-seconds",
            metavar="X",
            min=0,
            help="Between checkpoints; a restart replays what came after the last.",
            rich_help_panel=_KEEPING,
        ),
    ] = 60.0,
    checkpoints: Annotated[
        int,
        typer.Option(
            "--checkpoints",
            metavar="N",
            min=1,
            help="To keep, for rollback.",
            rich_help_panel=_KEEPING,
        ),
    ] = 5,
    max_classes: Annotated[
        int,
        typer.Option(
            "--max-classes",
            metavar="N",
            min=1,
            help="Samples of further classes are refused.",
            rich_help_panel=_KEEPING,
        ),
    ] = 10_000,
    engine: EngineOption = "auto",
    engine_batch: Annotated[
        int,
        typer.Option(
            "--engine-batch",
            metavar="N",
            min=1,
            help="Images per call of the engine.",
            rich_help_panel=_MACHINE,
        ),
    ] = 16,
    threads: ThreadsOption = None,
    workers: WorkersOption = None,
    nice: Annotated[
        int,
        typer.Option(
            "--nice",
            metavar="N",
            min=0,
            max=19,
            help="Let other programs go first.",
            rich_help_panel=_MACHINE,
        ),
    ] = 0,
    max_memory: Annotated[
        str | None,
        typer.Option(
            "--max-memory",
            metavar="BYTES",
            help="Save and stop beyond that, such as 1G.",
            rich_help_panel=_MACHINE,
        ),
    ] = None,
    pause_on_battery: Annotated[
        bool,
        typer.Option(
            "--pause-on-battery",
            help="Take nothing in while on battery.",
            rich_help_panel=_MACHINE,
        ),
    ] = False,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            "--metrics-port",
            metavar="PORT",
            help="Serve /metrics and /healthz on 127.0.0.1.",
            rich_help_panel=_MACHINE,
        ),
    ] = None,
    features: FeaturesOption = None,
    size: SizeOption = None,
    resize: ResizeOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    interpolation: InterpolationOption = None,
    normalisation: NormalisationOption = None,
    json_output: JsonOption = False,
) -> None:
    """Learn from images as they arrive, for weeks, and lose nothing."""
    from edgetransfer.stream import KeepingSettings, LearningSettings, StreamSettings, run_stream

    settings = StreamSettings(
        backbone=backbone,
        source=source,
        out=out,
        test_data=test_data,
        learning=LearningSettings(
            learner=learner,  # type: ignore[arg-type]
            batch_size=batch_size,
            replay=replay,
            learning_rate=learning_rate,
            momentum=momentum,
            weight_decay=weight_decay,
            views=views,
            class_weights=class_weights,
            reservoir_bytes=parse_bytes("--reservoir", reservoir),
            refit_every=refit_every,
            l2=parse_l2(l2),
            seed=seed,
        ),
        keeping=KeepingSettings(
            journal_bytes=parse_bytes("--journal-bytes", journal_bytes),
            checkpoint_seconds=checkpoint_seconds,
            checkpoints=checkpoints,
            max_classes=max_classes,
        ),
        engine=engine,
        engine_batch=engine_batch,
        threads=threads,
        workers=workers,
        features=features,
        size=size,
        resize=resize,
        mean=parse_triple("--mean", mean),
        std=parse_triple("--std", std),
        interpolation=interpolation,  # type: ignore[arg-type]
        normalisation=normalisation,
        limit=limit,
        nice=nice,
        max_memory=None if max_memory is None else parse_bytes("--max-memory", max_memory),
        pause_on_battery=pause_on_battery,
        metrics_port=metrics_port,
        label=label,
        every=every,
        repeat=repeat,
        once=once,
        token=token,
        host_names=tuple(host_name or ()),
        max_body=parse_bytes("--max-body", max_body),
    )
    show_log(json_output)
    with graceful() as stopping, shown_stream(source) as watch:
        report = run_stream(
            settings,
            stop=stopping.event,
            watch=watch,
            acknowledge=print_json if acknowledge else None,
        )
    if json_output:
        print_json(report)
    else:
        _show(report, out)
    if stopping.interrupted:
        raise KeyboardInterrupt


def _show(report: dict[str, Any], out: Path) -> None:
    say(f"accepted   {report['accepted']} samples, {report['refused']} refused just now")
    say(f"classes    {report['classes']}")
    for name, title in (("prequential", "test-then-train"), ("final", "test")):
        score = report[name]
        if score and score["top1"] is not None:
            say(
                f"{title:<16}{score['top1']:.1%} top-1, "
                f"{score['mean_per_class']:.1%} mean per class"
            )
    say(f"speed      {report['samples_per_second']:,.0f} samples/s")
    say(f"saved in   {out}; the same command goes on")


stream.__doc__ = f"{stream.__doc__}\n\n{EXAMPLES}"
