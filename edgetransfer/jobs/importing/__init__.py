"""Other people's checkpoints and graphs, made into backbones with cards."""

from edgetransfer.jobs.importing.download import download, published
from edgetransfer.jobs.importing.job import ImportSettings, import_backbone
from edgetransfer.jobs.importing.shelf import get_backbone, list_backbones

__all__ = [
    "ImportSettings",
    "download",
    "get_backbone",
    "import_backbone",
    "list_backbones",
    "published",
]
