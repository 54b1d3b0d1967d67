"""Features of many photos, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgetransfer.api.calling import settings_by_name, taken
from edgetransfer.api.reports import Report
from edgetransfer.settings.extract import Extraction

if TYPE_CHECKING:
    from edgetransfer.types import Progress


@settings_by_name(Extraction)
def extract_features(
    settings: Extraction | None = None,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
    **given: Any,
) -> Report:
    """Write the features of photos as Parquet tables, as the command ``extract``.

    It needs pyarrow, which ``pip install 'edgetransfer[parquet]'`` brings.

    Parameters
    ----------
    settings
        Which features of which photos; or the settings below by name.
    overwrite
        Delete the tables that are in the folder, and make them anew.
    progress
        Told (what is being done, how much is done, of how much).

    Raises
    ------
    EdgeTransferError
        If the backbone, the data, the engine or the folder cannot be used.

    Examples
    --------
    >>> import edgetransfer
    >>> report = edgetransfer.extract_features(
    ...     data="photos", out="features", backbone="small.onnx"
    ... )
    >>> report["photos"], report["tables"]
    (75, 1)
    >>> edgetransfer.train_linear(data="features", out="from-tables").n_classes
    3
    """
    from edgetransfer.api.progress import told
    from edgetransfer.extract import extract

    asked = taken(Extraction, settings, given)
    return Report(extract(asked, overwrite=overwrite, progress=told(progress)))
