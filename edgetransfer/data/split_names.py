"""Which folders, and which words of a manifest, name a split."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Split = Literal["train", "val", "test"]

_KINDS: dict[str, tuple[str, ...]] = {
    "train": ("train", "training", "trn"),
    "val": ("val", "valid", "validation", "validate", "dev", "devel", "development"),
    "test": ("test", "testing", "tst", "holdout", "heldout"),
    "eval": ("eval", "evaluation", "evaluate"),
}
_KIND_OF = {word: kind for kind, words in _KINDS.items() for word in words} | {"trainval": "train"}
_NOISE = frozenset(
    [
        *("set", "sets", "data", "dataset", "datasets", "split", "splits", "folder", "dir"),
        *("image", "images", "img", "imgs", "photo", "photos", "picture", "pictures", "pics"),
        *("sample", "samples", "example", "examples", "file", "files", "the", "new", "all"),
        *("full", "final", "clean", "cleaned", "resized", "raw", "jpg", "jpeg", "png"),
    ]
)
UNLABELLED = frozenset(["unlabelled", "unlabeled"])
_UNLABELLED_WORDS = UNLABELLED | frozenset(
    [
        *("pred", "preds", "predict", "prediction", "predictions", "unsup", "unsupervised"),
        *("unlab", "nolabel", "nolabels"),
    ]
)
_TOKEN = re.compile(r"[^\W\d_]+")
_COMPOUND = re.compile(f"({'|'.join(_KIND_OF)})({'|'.join(_NOISE)})")


@dataclass(frozen=True, kw_only=True)
class NamedSplit:
    """What a folder's name says.

    Parameters
    ----------
    kind
        ``train``, ``val``, ``test``, or ``eval``, which is either of the last two.
    rest
        Words that say something else: such a name is a split's only beside another one with
        the same rest, as ``seg_train`` beside ``seg_test``.
    """

    kind: str
    rest: tuple[str, ...] = ()


def split_of_word(word: str) -> Split | None:
    """The split that a manifest's word means; None if it is no split."""
    kind = _KIND_OF.get(word.strip().lower())
    if kind in ("train", "val"):
        return "train" if kind == "train" else "val"
    return "test" if kind in ("test", "eval") else None


def read_name(name: str) -> NamedSplit | None:
    """What a folder's name says of a split; None if nothing.

    Digits, marks and words such as ``set`` or ``images`` count for nothing: ``train2017``,
    ``Training``, ``test_set`` and ``TrainImages`` are split names.
    """
    kinds, rest = [], []
    for token in _tokens(name):
        compound = _COMPOUND.fullmatch(token)
        kind = _KIND_OF.get(compound[1] if compound else token)
        if kind is not None:
            kinds.append(kind)
        elif token not in _NOISE:
            rest.append(token)
    if len(kinds) == 1 or (kinds and set(kinds) == {"train", "val"}):  # trainval trains
        return NamedSplit(kind=kinds[0] if len(kinds) == 1 else "train", rest=tuple(rest))
    return None


def named_splits(names: Iterable[str]) -> dict[str, Split]:
    """Those of a folder's subfolders whose names say that they are splits, and of which kind."""
    read = {name: found for name in names if (found := read_name(name)) is not None}
    kinds_beside: dict[tuple[str, ...], set[str]] = {}
    for found in read.values():
        kinds_beside.setdefault(found.rest, set()).add(found.kind)
    taken = {n: f.kind for n, f in read.items() if not f.rest or len(kinds_beside[f.rest]) > 1}
    has_test = "test" in taken.values()
    splits: dict[str, Split] = {}
    for name, kind in taken.items():
        if kind == "eval":
            splits[name] = "val" if has_test else "test"
        else:
            splits[name] = "train" if kind == "train" else "val" if kind == "val" else "test"
    return splits


def says_nothing(name: str) -> bool:
    """Whether a folder's name is a word such as ``images`` alone, which wraps what matters."""
    tokens = _tokens(name)
    return bool(tokens) and all(token in _NOISE for token in tokens)


def says_unlabelled(name: str) -> bool:
    """Whether a folder's name says that its photos have no labels."""
    return not _UNLABELLED_WORDS.isdisjoint(_tokens(name))


def _tokens(name: str) -> list[str]:
    return _TOKEN.findall(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())
