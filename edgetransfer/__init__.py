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
    from edgetransfer import features
    from edgetransfer.api import (
        BackboneReport,
        BenchmarkReport,
        Evaluation,
        ExportReport,
        PretrainingReport,
        Report,
        SparsityReport,
        StreamReport,
        TrainingReport,
        audit_photos,
        check_stream,
        compact_backbone,
        compare_runs,
        describe_machine,
        evaluate,
        evaluate_backbone,
        export,
        extract_features,
        finetune_backbone,
        forget_samples,
        get_backbone,
        import_backbone,
        inspect_backbone,
        list_backbones,
        list_checkpoints,
        predict,
        pretrain_backbone,
        relabel_samples,
        rollback_stream,
        run_benchmark,
        run_demo,
        run_stream,
        serve_run,
        sparsify_backbone,
        teach_classifier,
        train_linear,
        tune_backbone,
        write_page,
    )
    from edgetransfer.backbones import Backbone
    from edgetransfer.errors import EdgeTransferError
    from edgetransfer.estimators import BackboneFeatures, HeadClassifier
    from edgetransfer.features.columns import PhotoFeatures
    from edgetransfer.settings.address import AddressSettings
    from edgetransfer.settings.audit import AuditSettings
    from edgetransfer.settings.benchmark import BenchmarkSettings, SyntheticFamily
    from edgetransfer.settings.compact import Compaction
    from edgetransfer.settings.extract import Extraction
    from edgetransfer.settings.finetune import FinetuneSettings
    from edgetransfer.settings.import_ import ImportSettings
    from edgetransfer.settings.learning import KeepingSettings, LearningSettings
    from edgetransfer.settings.pretrain import Pretraining
    from edgetransfer.settings.serve import ServeSettings
    from edgetransfer.settings.sparsify import Sparsification
    from edgetransfer.settings.stream import StreamSettings
    from edgetransfer.settings.teach import TeachSettings
    from edgetransfer.settings.train import LinearTraining
    from edgetransfer.stream import OnlineLearner
    from edgetransfer.train import Classifier, Prediction, Predictions

__all__ = [
    "AddressSettings",
    "AuditSettings",
    "Backbone",
    "BackboneFeatures",
    "BackboneReport",
    "BenchmarkReport",
    "BenchmarkSettings",
    "Classifier",
    "Compaction",
    "EdgeTransferError",
    "Evaluation",
    "ExportReport",
    "Extraction",
    "FinetuneSettings",
    "HeadClassifier",
    "ImportSettings",
    "KeepingSettings",
    "LearningSettings",
    "LinearTraining",
    "OnlineLearner",
    "PhotoFeatures",
    "Prediction",
    "Predictions",
    "Pretraining",
    "PretrainingReport",
    "Report",
    "ServeSettings",
    "Sparsification",
    "SparsityReport",
    "StreamReport",
    "StreamSettings",
    "SyntheticFamily",
    "TeachSettings",
    "TrainingReport",
    "audit_photos",
    "check_stream",
    "compact_backbone",
    "compare_runs",
    "describe_machine",
    "evaluate",
    "evaluate_backbone",
    "export",
    "extract_features",
    "features",
    "finetune_backbone",
    "forget_samples",
    "get_backbone",
    "import_backbone",
    "inspect_backbone",
    "list_backbones",
    "list_checkpoints",
    "predict",
    "pretrain_backbone",
    "relabel_samples",
    "rollback_stream",
    "run_benchmark",
    "run_demo",
    "run_stream",
    "serve_run",
    "sparsify_backbone",
    "teach_classifier",
    "train_linear",
    "tune_backbone",
    "write_page",
]

_NAMES = {
    "edgetransfer.api": (
        *("BackboneReport", "BenchmarkReport", "Evaluation", "ExportReport", "Report"),
        *("PretrainingReport", "SparsityReport", "StreamReport", "TrainingReport"),
        *("train_linear", "finetune_backbone", "evaluate", "predict", "export", "run_benchmark"),
        *("run_stream", "check_stream", "list_checkpoints", "rollback_stream", "forget_samples"),
        *("relabel_samples",),
        *("inspect_backbone", "sparsify_backbone", "compact_backbone", "import_backbone"),
        *("evaluate_backbone", "tune_backbone", "list_backbones", "get_backbone"),
        *("pretrain_backbone",),
        *("audit_photos", "write_page", "compare_runs", "extract_features"),
        *("serve_run", "teach_classifier"),
        *("describe_machine", "run_demo"),
    ),
    "edgetransfer.backbones": ("Backbone",),
    "edgetransfer.errors": ("EdgeTransferError",),
    "edgetransfer.estimators": ("BackboneFeatures", "HeadClassifier"),
    "edgetransfer.train": ("Classifier", "Prediction", "Predictions"),
    "edgetransfer.stream": ("OnlineLearner",),
    "edgetransfer.settings.address": ("AddressSettings",),
    "edgetransfer.settings.audit": ("AuditSettings",),
    "edgetransfer.settings.benchmark": ("BenchmarkSettings", "SyntheticFamily"),
    "edgetransfer.settings.compact": ("Compaction",),
    "edgetransfer.features.columns": ("PhotoFeatures",),
    "edgetransfer.settings.extract": ("Extraction",),
    "edgetransfer.settings.finetune": ("FinetuneSettings",),
    "edgetransfer.settings.import_": ("ImportSettings",),
    "edgetransfer.settings.serve": ("ServeSettings",),
    "edgetransfer.settings.pretrain": ("Pretraining",),
    "edgetransfer.settings.sparsify": ("Sparsification",),
    "edgetransfer.settings.learning": ("KeepingSettings", "LearningSettings"),
    "edgetransfer.settings.stream": ("StreamSettings",),
    "edgetransfer.settings.teach": ("TeachSettings",),
    "edgetransfer.settings.train": ("LinearTraining",),
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
    return sorted({*globals(), *__all__})
