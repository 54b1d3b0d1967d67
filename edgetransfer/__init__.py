"""Adapt sparse image backbones to your own photos, on a laptop CPU.

    import edgetransfer

    edgetransfer.train_linear(data="photos", out="run")
    with edgetransfer.Classifier.load("run") as classifier:
        print(classifier.predict("photo.jpg"))
    edgetransfer.features("tinyresnet-90", "photos")
    edgetransfer.export("run", "model.onnx")

Every command of the command line is a function here: see ``help(edgetransfer.train_linear)``. The
names below are imported when they are first used, so that ``import edgetransfer`` is cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from edgetransfer.version import __version__ as __version__

if TYPE_CHECKING:
    from edgetransfer import features as features
    from edgetransfer.api.backbones import (
        compact_backbone as compact_backbone,
        get_backbone as get_backbone,
        import_backbone as import_backbone,
        inspect_backbone as inspect_backbone,
        list_backbones as list_backbones,
        pretrain_backbone as pretrain_backbone,
        sparsify_backbone as sparsify_backbone,
        tune_backbone as tune_backbone,
    )
    from edgetransfer.api.classifiers import (
        evaluate as evaluate,
        evaluate_backbone as evaluate_backbone,
        export as export,
        finetune_backbone as finetune_backbone,
        predict as predict,
        train_linear as train_linear,
    )
    from edgetransfer.api.comparing import (
        analyse_networks as analyse_networks,
        compare_backbones as compare_backbones,
        run_benchmark as run_benchmark,
    )
    from edgetransfer.api.extracting import extract_features as extract_features
    from edgetransfer.api.judging import (
        audit_photos as audit_photos,
        compare_runs as compare_runs,
        write_page as write_page,
    )
    from edgetransfer.api.machine import describe_machine as describe_machine, run_demo as run_demo
    from edgetransfer.api.reports import (
        BackboneReport as BackboneReport,
        BenchmarkReport as BenchmarkReport,
        Evaluation as Evaluation,
        ExportReport as ExportReport,
        PretrainingReport as PretrainingReport,
        Report as Report,
        SparsityReport as SparsityReport,
        StreamReport as StreamReport,
        TrainingReport as TrainingReport,
    )
    from edgetransfer.api.searching import search_photos as search_photos
    from edgetransfer.api.servers import (
        serve_run as serve_run,
        teach_classifier as teach_classifier,
    )
    from edgetransfer.api.streams import (
        check_stream as check_stream,
        forget_samples as forget_samples,
        list_checkpoints as list_checkpoints,
        relabel_samples as relabel_samples,
        rollback_stream as rollback_stream,
        run_stream as run_stream,
    )
    from edgetransfer.api.tracking import track_run as track_run
    from edgetransfer.backbones import Backbone as Backbone
    from edgetransfer.errors import EdgeTransferError as EdgeTransferError
    from edgetransfer.estimators import (
        BackboneFeatures as BackboneFeatures,
        HeadClassifier as HeadClassifier,
    )
    from edgetransfer.features.columns import PhotoFeatures as PhotoFeatures
    from edgetransfer.settings.address import AddressSettings as AddressSettings
    from edgetransfer.settings.analyse import AnalysisSettings as AnalysisSettings
    from edgetransfer.settings.audit import AuditSettings as AuditSettings
    from edgetransfer.settings.benchmark import (
        BenchmarkSettings as BenchmarkSettings,
        SyntheticFamily as SyntheticFamily,
    )
    from edgetransfer.settings.compact import Compaction as Compaction
    from edgetransfer.settings.compare import ComparisonSettings as ComparisonSettings
    from edgetransfer.settings.evaluate import (
        ClassifierTest as ClassifierTest,
        RunTest as RunTest,
    )
    from edgetransfer.settings.export import ExportSettings as ExportSettings
    from edgetransfer.settings.extract import Extraction as Extraction
    from edgetransfer.settings.finetune import FinetuneSettings as FinetuneSettings
    from edgetransfer.settings.import_ import ImportSettings as ImportSettings
    from edgetransfer.settings.inspect import Inspection as Inspection
    from edgetransfer.settings.learning import (
        KeepingSettings as KeepingSettings,
        LearningSettings as LearningSettings,
    )
    from edgetransfer.settings.predict import PredictSettings as PredictSettings
    from edgetransfer.settings.pretrain import Pretraining as Pretraining
    from edgetransfer.settings.search import SearchSettings as SearchSettings
    from edgetransfer.settings.serve import ServeSettings as ServeSettings
    from edgetransfer.settings.sparsify import Sparsification as Sparsification
    from edgetransfer.settings.stream import StreamSettings as StreamSettings
    from edgetransfer.settings.teach import TeachSettings as TeachSettings
    from edgetransfer.settings.track import TrackSettings as TrackSettings
    from edgetransfer.settings.train import LinearTraining as LinearTraining
    from edgetransfer.settings.tune import Tuning as Tuning
    from edgetransfer.stream import OnlineLearner as OnlineLearner
    from edgetransfer.train import (
        Classifier as Classifier,
        Prediction as Prediction,
        Predictions as Predictions,
    )

# Where each of the names above is; a test holds the two against each other.
_NAMES = {
    "edgetransfer.api.backbones": (
        *("compact_backbone", "get_backbone", "import_backbone", "inspect_backbone"),
        *("list_backbones", "pretrain_backbone", "sparsify_backbone", "tune_backbone"),
    ),
    "edgetransfer.api.classifiers": (
        *("evaluate", "evaluate_backbone", "export", "finetune_backbone", "predict"),
        *("train_linear",),
    ),
    "edgetransfer.api.comparing": ("analyse_networks", "compare_backbones", "run_benchmark"),
    "edgetransfer.api.extracting": ("extract_features",),
    "edgetransfer.api.judging": ("audit_photos", "compare_runs", "write_page"),
    "edgetransfer.api.machine": ("describe_machine", "run_demo"),
    "edgetransfer.api.reports": (
        *(
            "BackboneReport",
            "BenchmarkReport",
            "Evaluation",
            "ExportReport",
            "PretrainingReport",
            "Report",
        ),
        *("SparsityReport", "StreamReport", "TrainingReport"),
    ),
    "edgetransfer.api.searching": ("search_photos",),
    "edgetransfer.api.servers": ("serve_run", "teach_classifier"),
    "edgetransfer.api.streams": (
        *(
            "check_stream",
            "forget_samples",
            "list_checkpoints",
            "relabel_samples",
            "rollback_stream",
        ),
        *("run_stream",),
    ),
    "edgetransfer.api.tracking": ("track_run",),
    "edgetransfer.backbones": ("Backbone",),
    "edgetransfer.errors": ("EdgeTransferError",),
    "edgetransfer.estimators": ("BackboneFeatures", "HeadClassifier"),
    "edgetransfer.features.columns": ("PhotoFeatures",),
    "edgetransfer.settings.address": ("AddressSettings",),
    "edgetransfer.settings.analyse": ("AnalysisSettings",),
    "edgetransfer.settings.audit": ("AuditSettings",),
    "edgetransfer.settings.benchmark": ("BenchmarkSettings", "SyntheticFamily"),
    "edgetransfer.settings.compare": ("ComparisonSettings",),
    "edgetransfer.settings.compact": ("Compaction",),
    "edgetransfer.settings.evaluate": ("ClassifierTest", "RunTest"),
    "edgetransfer.settings.export": ("ExportSettings",),
    "edgetransfer.settings.predict": ("PredictSettings",),
    "edgetransfer.settings.extract": ("Extraction",),
    "edgetransfer.settings.finetune": ("FinetuneSettings",),
    "edgetransfer.settings.import_": ("ImportSettings",),
    "edgetransfer.settings.inspect": ("Inspection",),
    "edgetransfer.settings.learning": ("KeepingSettings", "LearningSettings"),
    "edgetransfer.settings.pretrain": ("Pretraining",),
    "edgetransfer.settings.search": ("SearchSettings",),
    "edgetransfer.settings.serve": ("ServeSettings",),
    "edgetransfer.settings.sparsify": ("Sparsification",),
    "edgetransfer.settings.stream": ("StreamSettings",),
    "edgetransfer.settings.teach": ("TeachSettings",),
    "edgetransfer.settings.track": ("TrackSettings",),
    "edgetransfer.settings.train": ("LinearTraining",),
    "edgetransfer.settings.tune": ("Tuning",),
    "edgetransfer.stream": ("OnlineLearner",),
    "edgetransfer.train": ("Classifier", "Prediction", "Predictions"),
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names}

__all__ = ["features", *_HOMES]


def __getattr__(name: str) -> Any:
    if name == "features":  # a room that can be called
        return import_module("edgetransfer.features")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)  # what a notebook proposes
