"""The samples of one tar shard: photos and labels that belong together, wherever they lie in it.

In a shard as WebDataset writes it, the files of a sample lie beside each other and share a name
up to its first dot. Shards that are made by hand keep neither: all photos come before all labels,
or names have dots of their own. So a photo and a label meet by the whole name without its last
ending, and what has not met waits, up to a bound; past it the oldest photo goes first, and its
label follows it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

LABEL = ".cls"
HELD_BYTES = 64 * 2**20  # photos that wait for their label
LARGEST_IMAGE = 256 * 2**20  # bytes of a file
LONGEST_LABEL_FILE = 4096

NONE: Mapping[str, None] = MappingProxyType({})
NO_IMAGE = "no image of a known ending"
UNCLEAR = "its label cannot be told: one .cls file stands for several images"
TOO_LARGE = f"larger than {LARGEST_IMAGE >> 20} MiB"
NO_CLASS = "its .cls file holds no class name"
TORN = "its label may lie in the part of the shard that cannot be read"


@dataclass(frozen=True, kw_only=True)
class ShardSample:
    """A sample, or what is left of one.

    Parameters
    ----------
    key
        The name in the archive without its ending.
    image, label
        Content of its files; a label alone belongs to a photo that went before.
    problem
        Why it cannot be used.
    """

    key: str
    image: bytes | None = None
    label: bytes | None = None
    problem: str | None = None


class ShardSamples:
    """Told of each file of a shard, in order; gives each sample as soon as it is whole.

    Parameters
    ----------
    suffixes
        The endings of image files, in lower case.
    """

    def __init__(self, suffixes: frozenset[str], held_bytes: int = HELD_BYTES) -> None:
        self.further: list[str] = []  # images that a sample has beside its own
        self._suffixes = suffixes
        self._held_bytes = held_bytes
        # Keys of files whose names agree up to the first dot, in the order that they came in.
        self._images_of: dict[str, dict[str, None]] = {}
        self._labels_of: dict[str, dict[str, None]] = {}  # only of names that have labels
        self._images: dict[str, bytes] = {}
        self._labels: dict[str, bytes] = {}
        self._refused: set[str] = set()  # keys of which a file was too large
        self._bytes = 0
        self._last: str | None = None

    def wanted(self, path: str, size: int = 0) -> bool:
        """Whether the content of a file of so many bytes is to be read."""
        ending = _split(path)[2]
        if ending == LABEL:
            return size <= LONGEST_LABEL_FILE
        return ending in self._suffixes and size <= LARGEST_IMAGE

    def add(self, path: str, content: bytes | None) -> Iterator[ShardSample]:
        """Take the next file in; ``content`` is None where it was not wanted."""
        name, key, ending = _split(path)
        images, labels = self._images_of.get(name), self._labels_of.get(name, NONE)
        if name != self._last:
            if self._last in self._labels:
                yield from self._settled(self._last)
            self._last = name
            if images is None:
                images = self._images_of[name] = {}
        assert images is not None
        if content is None:
            if ending == LABEL or ending in self._suffixes:
                self._seen(name, key, ending)
                if key not in self._refused:
                    self._refuse(key)
                    problem = NO_CLASS if ending == LABEL else TOO_LARGE
                    yield ShardSample(key=key, problem=problem)
            return
        if key in self._refused:  # the rest of a sample that is out
            self._seen(name, key, ending)
            return
        if ending == LABEL:
            if key in labels:
                return
            self._seen(name, key, ending)
            if key in self._images:
                yield self._met(key, content)
            elif key in images:
                yield ShardSample(key=key, label=content)  # its photo could not wait
            else:
                self._labels[key] = content
        elif key in images:
            self.further.append(path)
        else:
            images[key] = None
            if key in self._labels:
                yield ShardSample(key=key, image=content, label=self._labels.pop(key))
            else:
                self._images[key] = content
                self._bytes += len(content)
                if self._bytes > self._held_bytes:
                    yield from self._overflowing()

    def rest(self, *, torn: bool) -> Iterator[ShardSample]:
        """What has not met, in the order that it came in; ``torn`` if the shard ended early."""
        if self._last in self._labels:
            yield from self._settled(self._last)
        torn = torn and bool(self._labels_of)
        for name, of_images in self._images_of.items():
            of_labels = self._labels_of.get(name, NONE)
            if not of_images and not of_labels:
                yield ShardSample(key=name, problem=NO_IMAGE)
            images = [key for key in of_images if key in self._images]
            labels = [key for key in of_labels if key in self._labels] if of_labels else []
            several = name in labels and len(images) > 1
            for key in images:
                if key != name and name in of_images:
                    self.further.append(key)
                elif several or torn:
                    yield ShardSample(key=key, problem=UNCLEAR if several else TORN)
                else:
                    yield ShardSample(key=key, image=self._images[key])
            for key in labels:
                yield ShardSample(key=key, problem=UNCLEAR if several else NO_IMAGE)

    def _seen(self, name: str, key: str, ending: str) -> None:
        of_kind = self._labels_of if ending == LABEL else self._images_of
        of_kind.setdefault(name, {})[key] = None

    def _refuse(self, key: str) -> None:
        self._refused.add(key)
        self._labels.pop(key, None)
        self._bytes -= len(self._images.pop(key, b""))

    def _settled(self, name: str) -> Iterator[ShardSample]:
        """A family that may be through: ``1.input.jpg`` is labelled by ``1.cls`` if it is alone."""
        images = self._images_of[name]
        if len(images) == 1:
            (key,) = images
            if key in self._images:
                yield self._met(key, self._labels.pop(name))

    def _met(self, key: str, label: bytes) -> ShardSample:
        image = self._images.pop(key)
        self._bytes -= len(image)
        return ShardSample(key=key, image=image, label=label)

    def _overflowing(self) -> Iterator[ShardSample]:
        while self._bytes > self._held_bytes:
            key = next(iter(self._images))
            image = self._images.pop(key)
            self._bytes -= len(image)
            yield ShardSample(key=key, image=image)


@lru_cache(maxsize=16)  # each is asked for twice, one after the other
def _split(path: str) -> tuple[str, str, str]:
    """The name up to its first dot, the name without its last ending, and that ending."""
    folder, slash, file = path.rpartition("/")
    stem, dot, last = file.rpartition(".")
    if not dot:
        return path, path, ""
    key = f"{folder}{slash}{stem}"
    first, dot, _ = stem.partition(".")
    # Mostly they are one, also in memory: there are as many as the shard has samples.
    return f"{folder}{slash}{first}" if dot else key, key, f".{last.lower()}"
