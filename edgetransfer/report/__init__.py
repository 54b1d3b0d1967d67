"""Runs that are there already, side by side."""

from edgetransfer.report.comparing import Comparison, compared
from edgetransfer.report.writing import write_comparison

__all__ = ["Comparison", "compared", "write_comparison"]
