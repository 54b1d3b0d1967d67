"""What a class may be called: one rule for folders, manifests, streams, clients and callers."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Iterable

from edgetransfer.errors import DataError
from edgetransfer.names import readable

logger = logging.getLogger(__name__)

LONGEST_LABEL = 255  # characters; as long as a folder's name may be
_UNWRITABLE = {
    "Cc": "a control character or a line break",
    "Zl": "a line break",
    "Zp": "a line break",
    "Cs": "bytes that are not UTF-8",
}


def checked_label(label: str) -> str:
    """The label in Unicode's composed form (NFC): one class is one name, however it was typed.

    Raises
    ------
    DataError
        If no class can be called so: it is empty or blank, longer than `LONGEST_LABEL`, or holds
        a line break, a control character, or what is not UTF-8.
    """
    if not label.strip():
        raise DataError("label is empty")
    if len(label) > LONGEST_LABEL:
        raise DataError(f"label has 1 to {LONGEST_LABEL} characters, not {len(label)}")
    if not (label.isascii() and label.isprintable()):  # most need no second look
        for letter in label:
            if (what := _UNWRITABLE.get(unicodedata.category(letter))) is not None:
                raise DataError(f"label '{readable(label[:100])}' holds {what}")
    return unicodedata.normalize("NFC", label)


def easily_confused(labels: Iterable[str]) -> list[tuple[str, ...]]:
    """Groups of labels that differ in case, blanks or invisible characters only, sorted."""
    groups: dict[str, list[str]] = {}
    for label in sorted(set(labels)):
        groups.setdefault(look_of(label), []).append(label)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def look_of(label: str) -> str:
    """What stays of a label without case, blanks and invisible characters, in NFKC."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", label).casefold())
    return "".join(
        letter
        for letter in folded
        if not letter.isspace() and unicodedata.category(letter) not in ("Cf", "Zs")
    )


class Spellings:
    """Remarks, once each, on labels of a stream that are easily confused with an earlier one.

    Parameters
    ----------
    labels
        That are known already.
    """

    def __init__(self, labels: Iterable[str]) -> None:
        self._known = {label: look_of(label) for label in labels}
        self._first = {look: label for label, look in reversed(self._known.items())}

    def see(self, label: str) -> None:
        """Look at a label that came."""
        if label in self._known:
            return
        look = self._known[label] = look_of(label)
        first = self._first.setdefault(look, label)
        if first != label:
            logger.warning(
                "a new class %r differs from %r in case, blanks or invisible characters only; if "
                "they are one, give it one name",
                label,
                first,
            )
