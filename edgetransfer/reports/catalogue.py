"""Which command prints what."""

from __future__ import annotations

from typing import Any

from edgetransfer.reports import (
    analyse,
    audit,
    backbones,
    benchmark,
    check,
    compare,
    demo,
    evaluate,
    export,
    extract,
    machine,
    predict,
    pretrain,
    report,
    rewind,
    search,
    sparsify,
    stream,
    track,
    train,
)

# By command, each of the records that it may print; `backbones get` prints what `import` does.
REPORTS: dict[str, tuple[Any, ...]] = {
    "train": (train.TrainingRecord,),
    "finetune": (train.FinetuningRecord,),
    "extract": (extract.ExtractionRecord,),
    "stream": (stream.StreamRecord,),
    "evaluate": (evaluate.EvaluateRecord, evaluate.ClassifierRecord),
    "predict": (predict.PredictRecord,),
    "search": (search.SearchRecord,),
    "audit": (audit.AuditRecord,),
    "report": (report.PageRecord, report.ComparisonRecord),
    "track": (track.TrackRecord,),
    "serve": (stream.AddressRecord, stream.ServeRecord),
    "teach": (stream.AddressRecord, stream.TeachRecord),
    "inspect": (backbones.InspectRecord,),
    "sparsify": (sparsify.SparsifyRecord,),
    "pretrain": (pretrain.PretrainRecord,),
    "compact": (backbones.CompactRecord,),
    "benchmark": (benchmark.BenchmarkRecord,),
    "compare": (compare.CompareRecord,),
    "analyse": (analyse.AnalysisRecord,),
    "tune": (machine.TuneRecord,),
    "doctor": (machine.DoctorRecord,),
    "demo": (demo.DemoRecord,),
    "export": (export.ExportRecord,),
    "check": (check.CheckRecord,),
    "rollback": (rewind.RollbackRecord,),
    "forget": (rewind.ForgetRecord,),
    "relabel": (rewind.RelabelRecord,),
    "import": (backbones.ImportRecord,),
    "backbones": (backbones.BackbonesRecord,),
}
