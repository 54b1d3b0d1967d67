"""What a folder of photos means: which of its folders are classes, and which are splits.

Nothing here touches the disk: a `Folder` comes in, a `Layout` or a refusal comes out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from edgetransfer.data.split_names import (
    UNLABELLED,
    Split,
    named_splits,
    says_nothing,
    says_unlabelled,
)
from edgetransfer.data.walking import Folder
from edgetransfer.errors import DataError
from edgetransfer.names import readable

IsPhoto = Callable[[str], bool]
"""Whether a file of this name is a photo."""

MENDS = (
    "put them as train/CLASS/PHOTO and test/CLASS/PHOTO, or write a manifest with path, label "
    "and split, or give --data and --test-data each its folder"
)


@dataclass(frozen=True, kw_only=True)
class Part:
    """A folder whose photos, and those below it, are of one class and split.

    Parameters
    ----------
    split
        None where the data set has no splits.
    """

    split: Split | None
    class_name: str
    folder: Folder


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A folder, understood.

    Parameters
    ----------
    parts
        In the order of their paths.
    remarks
        What a person should know of it: a doubt, or photos that are in no part.
    """

    parts: tuple[Part, ...]
    remarks: tuple[str, ...] = ()


def layout_of(root: Folder, is_photo: IsPhoto) -> Layout:
    """Tell classes from splits.

    A folder is a split if its name says so, it holds class folders, and its siblings are splits
    too; a class that is called ``train`` stands beside other classes. Classes may also hold the
    splits: ``cat/train``, ``cat/test``.

    Raises
    ------
    DataError
        If it cannot be told; the message says what was seen, without the folder's path.
    """
    return _Reader(root, is_photo).layout()


class _Reader:
    def __init__(self, root: Folder, is_photo: IsPhoto) -> None:
        self._root = root
        self._is_photo = is_photo
        self._remarks: list[str] = []

    def layout(self) -> Layout:
        parts = tuple(self._split_parts() or self._class_parts())
        return Layout(parts=parts, remarks=tuple(self._remarks))

    # Splits above classes

    def _split_parts(self) -> list[Part] | None:
        """The parts of a split data set; None if the folders are classes."""
        splits = named_splits(self._root.folders)
        tops = {name: self._root.folders[name] for name in splits}
        # A class may be called as a wrapper is, and be the only one in a split.
        classes = {n for top in tops.values() if len(top.folders) > 1 for n in top.folders}
        roots = {n: self._unwrapped(top, splits[n], classes) for n, top in tops.items()}
        deep = {name: folder for name, folder in roots.items() if folder.folders}
        flat = {name: folder for name, folder in roots.items() if self._is_flat(folder)}
        others = {
            name: folder
            for name, folder in self._root.folders.items()
            if name not in splits and self._count(folder)
        }
        labelled = {name: f for name, f in others.items() if not says_unlabelled(name)}
        if not deep and not flat:
            return None
        kinds = {splits[name] for name in (*deep, *flat)}
        if labelled:
            if len(kinds) > 1 or _alike(deep.values(), labelled):
                raise DataError(
                    f"{_listed((*deep, *flat))} would be splits, but "
                    f"{self._seen(labelled)} lie beside: move them into a split, or away; "
                    f"or {MENDS}"
                )
            self._remarks.append(
                f"{_listed(splits)} is taken for a class, as {_listed(labelled)} beside it"
                f" {'is' if len(labelled) == 1 else 'are'} no split"
            )
            return None
        if not deep or any(splits[name] == "train" for name in flat):
            raise DataError(
                f"{self._seen(flat)} without class folders: of which classes they are cannot be "
                f"told; {MENDS}"
            )
        for name, folder in {**flat, **others}.items():
            why = "it has no class folders" if name in flat else "it has no labels"
            self._remarks.append(
                f"left out {self._count(folder)} photos in {readable(name)}: {why}"
            )
        self._beside(self._root)
        parts = []
        for name, folder in deep.items():
            self._refuse_wrapped(folder)
            self._beside(folder)
            parts += [
                Part(split=splits[name], class_name=label, folder=below)
                for label, below in folder.folders.items()
            ]
        return parts

    def _unwrapped(self, folder: Folder, split: Split, classes: set[str]) -> Folder:
        """The folder that holds the classes: ``seg_train/seg_train``, ``train/images``."""
        while len(folder.folders) == 1 and not self._direct(folder):
            ((name, inner),) = folder.folders.items()
            own = folder.path.rpartition("/")[2]
            same = name == own or named_splits([name]).get(name) == split or says_nothing(name)
            if not same or name in classes or not (inner.folders or self._is_flat(inner)):
                break
            folder = inner
        return folder

    # Classes at the top

    def _class_parts(self) -> Iterator[Part]:
        folders = self._root.folders
        self._refuse_wrapped(self._root)
        self._beside(self._root)
        folders = {n: f for n, f in folders.items() if not self._is_unlabelled(n, f)}
        inside = {name: self._splits_inside(folder) for name, folder in folders.items()}
        split = next((name for name, found in inside.items() if _is_split(found)), None)
        if split is None:
            self._remark_on_likeness()
            for name, folder in folders.items():
                yield Part(split=None, class_name=name, folder=folder)
            return
        self._refuse_several(folders, inside)
        for name, folder in folders.items():
            splits = inside[name]
            rest = {n: f for n, f in folder.folders.items() if n not in splits and self._count(f)}
            if rest or self._direct(folder):
                raise DataError(
                    f"{readable(split)} holds the splits {_listed(inside[split])}, but "
                    f"{readable(name)} holds photos that are in none; {MENDS}"
                )
            for below, kind in splits.items():
                yield Part(split=kind, class_name=name, folder=folder.folders[below])
            if not splits:  # it has no photo: the class is there all the same
                yield Part(split="train", class_name=name, folder=folder)

    def _refuse_several(
        self, folders: dict[str, Folder], inside: dict[str, dict[str, Split]]
    ) -> None:
        """Folds or domains, each a split data set of the same classes, are no classes."""
        splits = {name: [folders[name].folders[s] for s in inside[name]] for name in folders}
        if any(self._direct(split) for found in splits.values() for split in found):
            return
        times = Counter(
            label for found in splits.values() for label in {n for s in found for n in s.folders}
        )
        shared = [label for label, n in times.items() if n > 1 and not label.isdecimal()]
        if shared:
            raise DataError(
                f"{_listed(folders)} each hold the splits of {_listed(shared)}: they would be data "
                "sets of their own; give the folder of one"
            )

    def _splits_inside(self, folder: Folder) -> dict[str, Split]:
        """The splits that a class folder holds."""
        named = named_splits(folder.folders)
        return {name: split for name, split in named.items() if self._count(folder.folders[name])}

    def _is_unlabelled(self, name: str, folder: Folder) -> bool:
        if name.lower() not in UNLABELLED:
            return False
        self._remarks.append(
            f"left out {self._count(folder)} photos in {readable(name)}: it has no labels"
        )
        return True

    def _refuse_wrapped(self, folder: Folder) -> None:
        """A single folder that holds the splits is no class."""
        if len(folder.folders) != 1 or self._direct(folder):
            return
        ((name, inner),) = folder.folders.items()
        if len({*named_splits(inner.folders).values()}) > 1:
            raise DataError(
                f"only one class ({name!r}), which holds {_listed(inner.folders)}; if those are "
                f"splits, give the folder {readable(inner.path)} itself"
            )

    def _remark_on_likeness(self) -> None:
        """Splits under names in another language: folders that hold the same folders."""
        folders = [f for f in self._root.folders.values() if self._count(f)]
        if len(folders) < 2 or any(self._direct(f) or len(f.folders) < 2 for f in folders):
            return
        times = Counter(n for f in folders for n in f.folders if not n.isdecimal())
        shared = [name for name, n in times.items() if n == len(folders)]
        if 2 * len(shared) >= max(len(f.folders) for f in folders):
            self._remarks.append(
                f"{_listed(f.path for f in folders)} are taken for classes, though each holds "
                f"{_listed(shared)}: if they are splits, call them train and test"
            )

    # Photos

    def _direct(self, folder: Folder) -> int:
        return sum(map(self._is_photo, folder.files))

    def _count(self, folder: Folder) -> int:
        return sum(map(self._is_photo, folder.all_files()))

    def _seen(self, folders: dict[str, Folder]) -> str:
        return _listed(f"{name} ({self._count(f)} photos)" for name, f in folders.items())

    def _is_flat(self, folder: Folder) -> bool:
        return not folder.folders and self._direct(folder) > 0

    def _beside(self, folder: Folder) -> None:
        if beside := self._direct(folder):
            where = f" in {readable(folder.path)}" if folder.path else ""
            self._remarks.append(f"ignored {beside} images beside the class folders{where}")


def _is_split(found: dict[str, Split]) -> bool:
    """Whether splits were found that something can be learned from and tested on."""
    return "train" in found.values() and len({*found.values()}) > 1


def _listed(names: Iterable[str], most: int = 6) -> str:
    shown = [readable(name) for name in names]
    text = ", ".join(shown[:most])
    return text + (f" and {len(shown) - most} more" if len(shown) > most else "")


def _alike(deep: Iterable[Folder], others: dict[str, Folder]) -> bool:
    """Whether what lies beside a split has to do with its classes: it is them, or holds them."""
    classes = {name for folder in deep for name in folder.folders if not name.isdecimal()}
    beside = {*others, *(name for folder in others.values() for name in folder.folders)}
    return not classes.isdisjoint(beside)
