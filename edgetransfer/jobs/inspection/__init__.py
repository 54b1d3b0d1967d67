"""What a backbone is, and what this machine makes of it."""

from edgetransfer.jobs.inspection.report import inspect_backbone

__all__ = ["inspect_backbone"]
