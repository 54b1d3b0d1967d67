"""The pages of runs that are there already: made anew, or several side by side."""

from edgetransfer.report.anew import page_anew
from edgetransfer.report.comparing import Comparison, compared
from edgetransfer.report.writing import write_comparison

__all__ = ["Comparison", "compared", "page_anew", "write_comparison"]
