"""What a notebook calls: every job as a function, exported from the root of the package.

Each takes the settings of its command by name, or a settings object; strings or paths; and returns
its report. Nothing heavy is imported before a function is called.
"""

from edgetransfer.api.backbones import (
    compact_backbone,
    get_backbone,
    import_backbone,
    inspect_backbone,
    list_backbones,
    pretrain_backbone,
    sparsify_backbone,
    tune_backbone,
)
from edgetransfer.api.classifiers import (
    evaluate,
    evaluate_backbone,
    export,
    finetune_backbone,
    predict,
    train_linear,
)
from edgetransfer.api.comparing import run_benchmark
from edgetransfer.api.extracting import extract_features
from edgetransfer.api.judging import audit_photos, compare_runs, write_page
from edgetransfer.api.machine import describe_machine, run_demo
from edgetransfer.api.reports import (
    BackboneReport,
    BenchmarkReport,
    Evaluation,
    ExportReport,
    PretrainingReport,
    Report,
    SparsityReport,
    StreamReport,
    TrainingReport,
)
from edgetransfer.api.servers import serve_run, teach_classifier
from edgetransfer.api.streams import (
    check_stream,
    forget_samples,
    list_checkpoints,
    relabel_samples,
    rollback_stream,
    run_stream,
)

__all__ = [
    "BackboneReport",
    "BenchmarkReport",
    "Evaluation",
    "ExportReport",
    "PretrainingReport",
    "Report",
    "SparsityReport",
    "StreamReport",
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
