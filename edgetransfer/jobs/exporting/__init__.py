"""What a run learned, given away: one ONNX file, or a folder."""

from edgetransfer.jobs.exporting.job import export

__all__ = ["export"]
