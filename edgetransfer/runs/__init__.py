"""What a run leaves behind."""

from edgetransfer.runs.run_folder import RunFolder

__all__ = ["RunFolder"]
