"""Features of many photos, as tables that other programs read and `train` learns from."""

from edgetransfer.extract.job import extract
from edgetransfer.settings.extract import Extraction

__all__ = ["Extraction", "extract"]
