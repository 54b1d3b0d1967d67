"""Runs that are there already, side by side."""

from edgetransfer.jobs.report.comparing import Comparison, compared
from edgetransfer.jobs.report.writing import write_comparison

__all__ = ["Comparison", "compared", "write_comparison"]
