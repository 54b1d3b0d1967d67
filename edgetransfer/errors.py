"""Every error that a person can meet, and the exit code it ends in.

    EdgeTransferError          1   something failed
    ├── UsageError             2   the call itself does not fit together
    │   └── TakenError         2   --out names something that is there (also a RunFolderError)
    ├── RunFolderError         1   a run folder that is missing, not one, or another process's
    │   └── OwnedError         1   another process has it
    ├── DataError              3   what was given to learn from cannot be used
    │   ├── ImageError         3   one image that cannot be decoded
    │   ├── BackboneError      3   an ONNX file or card that cannot be used
    │   └── HeadError          3   a saved head that is broken or belongs to another backbone
    └── EngineError            4   the asked-for engine cannot run this backbone

Messages are one sentence or two: what is wrong, with which file, and what mends it. Passwords and
tokens in addresses are masked in all of them.
"""

from __future__ import annotations

from edgetransfer.confidential import without_secrets


class EdgeTransferError(Exception):
    """The root of the tree above.

    Examples
    --------
    >>> import edgetransfer
    >>> try:
    ...     edgetransfer.predict("no-such-run", "photo.jpg")
    ... except edgetransfer.EdgeTransferError as error:
    ...     print(error.exit_code)
    1
    """

    exit_code = 1

    def __str__(self) -> str:
        return without_secrets(super().__str__())


class UsageError(EdgeTransferError):
    """Arguments that do not fit together."""

    exit_code = 2


class RunFolderError(EdgeTransferError):
    """A run folder that is missing, owned by another process, or not a run folder."""


class OwnedError(RunFolderError):
    """A folder that another process has.

    Parameters
    ----------
    listens
        Whether that process can be asked to change it; see `edgetransfer.runs.asking`.
    """

    def __init__(self, message: str, *, listens: bool = False) -> None:
        super().__init__(message)
        self.listens = listens


class TakenError(UsageError, RunFolderError):
    """A place to write to that is taken: another file or folder, or one that may not be replaced.

    One exit code for every ``--out``, whether a file or a run folder is to be made.
    """


class DataError(EdgeTransferError):
    """Data that cannot be used."""

    exit_code = 3


class ImageError(DataError):
    """One image that cannot be decoded."""


class BackboneError(DataError):
    """An ONNX file, or its card, that cannot be used as a backbone."""


class HeadError(DataError):
    """A saved head that is broken, or was trained on another backbone."""


class EngineError(EdgeTransferError):
    """An engine that is not installed, or cannot run this backbone."""

    exit_code = 4
