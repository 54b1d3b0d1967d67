"""What a backbone is, and what this machine makes of it."""

from edgetransfer.inspection.report import images_per_second, inspect_backbone

__all__ = ["images_per_second", "inspect_backbone"]
