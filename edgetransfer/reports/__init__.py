"""What a run leaves behind."""

from edgetransfer.reports.run_folder import RunFolder

__all__ = ["RunFolder"]
