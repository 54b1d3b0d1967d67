"""Other people's checkpoints and graphs, made into backbones with cards."""

from edgetransfer.importing.download import PUBLISHED, download
from edgetransfer.importing.job import ImportSettings, import_backbone

__all__ = ["PUBLISHED", "ImportSettings", "download", "import_backbone"]
