"""Learning from photos, and what was learned: trained, tested, asked, given away."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from edgetransfer.api.calling import settings_by_name, taken
from edgetransfer.api.reports import Evaluation, ExportReport, TrainingReport
from edgetransfer.errors import UsageError
from edgetransfer.settings.assembling import assembled, check_names
from edgetransfer.settings.evaluate import ClassifierTest, RunTest
from edgetransfer.settings.export import ExportSettings
from edgetransfer.settings.finetune import FinetuneSettings, TrainingToo
from edgetransfer.settings.option import Shown
from edgetransfer.settings.predict import PredictSettings
from edgetransfer.settings.train import LinearTraining

if TYPE_CHECKING:
    from edgetransfer.features import Photo
    from edgetransfer.train import Prediction, Predictions
    from edgetransfer.types import Progress


@settings_by_name(LinearTraining)
def train_linear(
    settings: LinearTraining | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    **given: Any,
) -> TrainingReport:
    """Train a linear classifier of photos on a backbone's features, as the command ``train``.

    Parameters
    ----------
    settings
        What to train on what; or the settings below by name.
    resume
        Go on with a run that was interrupted: it ends as if it had not been.
    overwrite
        Start anew in an existing run folder.
    progress
        Told (what is being done, how much is done, of how much). If None, a notebook shows it.

    Raises
    ------
    EdgeTransferError
        If the backbone, the data, the engine or the run folder cannot be used.

    Examples
    --------
    >>> import edgetransfer
    >>> report = edgetransfer.train_linear(data="photos", out="new", backbone="tinyresnet-90")
    >>> report
    TrainingReport(top1=..., mean_per_class=..., n_classes=3, solver='auto')
    >>> report.top1 >= 0.9
    True
    """
    from edgetransfer.api.progress import told
    from edgetransfer.train import train_linear as train

    asked = taken(LinearTraining, settings, given)
    return TrainingReport(train(asked, resume=resume, overwrite=overwrite, progress=told(progress)))


@settings_by_name(TrainingToo, FinetuneSettings)
def finetune_backbone(
    training: LinearTraining | None = None,
    own: FinetuneSettings | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    **given: Any,
) -> TrainingReport:
    """Train all non-zero weights of a sparse backbone on photos, as the command ``finetune``.

    The zeros stay zero. It needs torch, which ``pip install 'edgetransfer[finetune]'`` brings.

    Parameters
    ----------
    training, own
        What every training has, and what finetuning has beside it; or the settings below by name.
    resume, overwrite, progress
        As of `train_linear`.

    Raises
    ------
    EdgeTransferError
        If torch, the backbone, the data or the run folder cannot be used.

    Examples
    --------
    >>> import edgetransfer
    >>> report = edgetransfer.finetune_backbone(
    ...     data="photos", out="tuned", backbone="small.onnx", epochs=1, baseline=False
    ... )
    >>> report["masked"]["after"] >= report["masked"]["before"]
    True
    """
    from edgetransfer.api.progress import told
    from edgetransfer.finetune import finetune

    if given and (training is not None or own is not None):
        raise UsageError(f"give settings or {', '.join(given)}, not both")
    if training is None:
        check_names(given, TrainingToo, FinetuneSettings)
        training = assembled(LinearTraining, given)
        own = assembled(FinetuneSettings, given)
    return TrainingReport(
        finetune(
            training,
            own or FinetuneSettings(),
            resume=resume,
            overwrite=overwrite,
            progress=told(progress),
        )
    )


@settings_by_name(PredictSettings)
def predict(
    run: str | Path, images: Photo | Iterable[Photo], **given: Any
) -> Prediction | Predictions:
    """Say what photos show; `Classifier` stays open for more.

    Parameters
    ----------
    run
        A run folder, or what `export` made of one.
    images
        A path, the bytes of a file, a picture of Pillow's or an array (H, W, 3) uint8; or several.
        The other settings are below.

    Returns
    -------
    One prediction of one photo, else a list, in order. A photo that cannot be decoded has a
    prediction that says why.

    Raises
    ------
    EdgeTransferError
        If the run is not finished, or its backbone is missing or another.

    Examples
    --------
    >>> import edgetransfer
    >>> edgetransfer.predict("run", "photos/test/red/000.png").classes[0]
    'red'
    """
    from edgetransfer.train import Classifier

    asked = taken(PredictSettings, None, {"run": run, **given})
    with Classifier.load(
        asked.run,
        backbone=asked.backbone,
        engine=asked.engine,
        threads=asked.threads,
        unknown_below=asked.unknown_below,
    ) as classifier:
        return classifier.predict(images, top=asked.top)


@settings_by_name(
    Annotated[
        RunTest, Shown(help={"backbone": "Where the run's backbone is now, if it was moved."})
    ]
)
def evaluate(
    run: str | Path, data: str | Path, *, progress: Progress | None = None, **given: Any
) -> Evaluation:
    """Test what a run learned on labelled photos.

    Parameters
    ----------
    run
        A run folder, or what `export` made of one.
    data
        Class folders or a manifest. The other settings are below.

    Raises
    ------
    DataError
        If there are none to test on, or a class that the run does not know, or too many are
        broken.

    Examples
    --------
    >>> import edgetransfer
    >>> found = edgetransfer.evaluate("run", "photos/test")
    >>> found
    Evaluation(n=..., top1=..., mean_per_class=...)
    >>> sorted(found.per_class)
    ['blue', 'green', 'red']
    """
    from edgetransfer.api.progress import told
    from edgetransfer.train import Classifier

    test = taken(RunTest, None, given)
    with Classifier.load(
        run, backbone=test.backbone, engine=test.engine, threads=test.threads
    ) as classifier:
        return Evaluation(
            classifier.evaluate(
                Path(data),
                training_photos=test.training_photos,
                max_bad=test.max_bad,
                page=test.page,
                progress=told(progress),
            )
        )


@settings_by_name(
    Annotated[
        ClassifierTest,
        Shown(help={"labels": "The name of each output, one a line; ImageNet's are known."}),
    ]
)
def evaluate_backbone(
    backbone: str | Path, data: str | Path, *, progress: Progress | None = None, **given: Any
) -> Evaluation:
    """Test a backbone's own classifier, such as ImageNet's, on labelled photos.

    Parameters
    ----------
    backbone
        An ONNX file with its classifier, or the name of a bundled backbone.
    data
        Class folders, a manifest, or files that are called by their wnids. The other settings are
        below.

    Raises
    ------
    BackboneError
        If the file has no classifier.
    DataError
        If the classes cannot be matched with outputs, or too many photos are broken.

    Examples
    --------
    >>> import edgetransfer
    >>> edgetransfer.evaluate_backbone("small.onnx", "photos/test", labels="labels.txt").n
    15
    """
    from edgetransfer.api.progress import told
    from edgetransfer.train.upstream import evaluate_upstream

    test = taken(ClassifierTest, None, given)
    return Evaluation(evaluate_upstream(backbone, Path(data), test, told(progress)))


@settings_by_name(ExportSettings)
def export(run: str | Path, out: str | Path, **given: Any) -> ExportReport:
    """Write what a run learned as one ONNX file, or as a folder, to be given away.

    It is compared with the run on the run's own photos first, in every engine that can run it.

    Parameters
    ----------
    run
        A folder of `train_linear`, `finetune_backbone` or `run_stream`; or an export.
    out
        ``FILE.onnx`` for one graph from images to probabilities, with a script beside it; else a
        new folder. The other settings are below.

    Raises
    ------
    EdgeTransferError
        If the run is not finished or ``out`` is taken; or if the export would not say what the
        run says.

    Examples
    --------
    >>> import edgetransfer
    >>> edgetransfer.export("run", "colours.onnx")
    ExportReport(out='colours.onnx', classes=3)
    """
    from edgetransfer.jobs.exporting import export as export_run

    return ExportReport(export_run(taken(ExportSettings, None, {"run": run, "out": out, **given})))
