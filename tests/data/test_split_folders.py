"""Every name of a split, at every depth, beside every kind of sibling."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetransfer.data import load_data, load_labelled
from edgetransfer.data.layouts import Layout, layout_of
from edgetransfer.data.split_names import named_splits
from edgetransfer.data.walking import Folder
from edgetransfer.errors import DataError
from tests.data.test_layouts import make

SUFFIXES = frozenset([".png"])

TRAIN = [
    *("train", "Train", "TRAIN", "training", "Training", "training_set", "train_set", "trainset"),
    *("train2017", "train-images", "TrainImages", "seg_train", "cifar_train", "data_train"),
    *("trainval", "train data", "my.train", "01_train"),
]
VAL = ["val", "valid", "Validation", "dev", "val2017", "valset", "validation-set", "seg_dev"]
TEST = [
    "test",
    "Testing",
    "test_set",
    "testset",
    "test2017",
    "seg_test",
    "test1",
    "holdout",
    "eval",
]


def tree(*paths: str) -> Folder:
    """A folder as the walk gives it, from the paths of its files; ``a/`` is an empty one."""
    root = Folder(path="")
    for path in sorted(paths):
        folder = root
        *parts, file = path.split("/")
        for name in parts:
            folder = folder.folders.setdefault(name, Folder(path=folder.below(name)))
        if file:
            folder.files.append(file)
    return root


def read(*paths: str) -> Layout:
    return layout_of(tree(*paths), lambda file: file.endswith(".png"))


def photos(layout: Layout) -> dict[str, set[tuple[str, str]]]:
    """By split: class and file of each photo."""
    found: dict[str, set[tuple[str, str]]] = {}
    for part in layout.parts:
        for file in part.folder.all_files():
            found.setdefault(str(part.split), set()).add((part.class_name, file))
    return found


def is_pair(a: str, b: str) -> bool:
    """Whether both names say nothing beside their split, or the same."""
    rest = {"seg_train": "seg", "seg_test": "seg", "seg_dev": "seg", "cifar_train": "cifar"}
    rest |= {"my.train": "my"}
    return rest.get(a, "") == rest.get(b, "")


@pytest.mark.parametrize("train", TRAIN)
@pytest.mark.parametrize("nesting", ["", "{}/", "images/", "{}/images/"])
def test_splits_are_told_by_their_names(train: str, nesting: str) -> None:
    for split, name in (*(("test", name) for name in TEST), *(("val", name) for name in VAL)):
        if not is_pair(train, name):
            continue
        files = {
            "train": [f"{train}/{nesting.format(train)}{c}/1.png" for c in ("cat", "dog")],
            split: [f"{name}/{nesting.format(name)}{c}/2.png" for c in ("cat", "dog")],
        }
        found = photos(read(*files["train"], *files[split], "README.txt"))
        assert found == {
            split: set(zip(("cat", "dog"), paths, strict=True)) for split, paths in files.items()
        }


def test_an_evaluation_part_is_validation_beside_a_test_part() -> None:
    assert named_splits(["train", "eval"]) == {"train": "train", "eval": "test"}
    assert named_splits(["train", "eval", "test"])["eval"] == "val"


@pytest.mark.parametrize(
    ("a", "b"), list(itertools.permutations(["train", "test", "val", "dev"], 2))
)
@pytest.mark.parametrize("others", [(), ("car",)])
def test_splits_without_classes_are_refused_with_what_was_seen(
    a: str, b: str, others: tuple[str, ...]
) -> None:
    if {a, b} == {"val", "dev"} and others:
        pytest.skip("both are validation: they stand beside a class, so they are classes")
    with pytest.raises(DataError, match=rf"{a} \(2 photos\)|{a}, {b}|{b}, {a}"):
        read(f"{a}/1.png", f"{a}/2.png", f"{b}/3.png", *(f"{o}/4.png" for o in others))


@pytest.mark.parametrize("name", [*TRAIN[:12], *VAL[:7], *TEST[:5]])
@pytest.mark.parametrize("deep", [False, True])
def test_a_class_called_so_beside_other_classes_is_a_class(name: str, deep: bool) -> None:
    inside = ["steam/1.png", "diesel/2.png"] if deep else ["1.png", "2.png"]
    layout = read(*(f"{name}/{file}" for file in inside), "plane/1.png", "bus/1.png")
    assert {(part.class_name, part.split) for part in layout.parts} == {
        *((label, None) for label in (name, "plane", "bus")),
    }


@pytest.mark.parametrize(
    "name", ["train_station", "bullet train", "test tube", "valley", "trained"]
)
def test_words_that_only_contain_a_split_are_classes(name: str) -> None:
    layout = read(f"{name}/a/1.png", f"{name}/b/1.png", "bus/1.png")
    assert {part.class_name for part in layout.parts} == {name, "bus"}
    assert layout.remarks == ()


@pytest.mark.parametrize("sibling", ["bird/1.png", "extra/cat/1.png", "Testdaten/dog/1.png"])
@pytest.mark.parametrize("splits", [("train", "test"), ("train",), ("train", "val"), ("test",)])
def test_photos_beside_splits_are_never_passed_over(splits: tuple[str, ...], sibling: str) -> None:
    files = [f"{split}/{label}/9.png" for split in splits for label in ("cat", "dog")]
    if len(splits) > 1 or not sibling.startswith("bird"):
        with pytest.raises(DataError, match=sibling.partition("/")[0]):
            read(*files, sibling)
    else:  # one split-like folder beside a class: they are classes, and that is said
        layout = read(*files, sibling)
        assert {file for _, file in photos(layout)["None"]} == {*files, sibling}
        assert layout.remarks


@pytest.mark.parametrize("name", ["seg_pred", "unlabelled", "unlabeled2017", "predictions"])
def test_what_says_that_it_has_no_labels_is_left_out_aloud(name: str) -> None:
    layout = read("seg_train/cat/1.png", "seg_test/cat/1.png", f"{name}/{name}/1.png")
    assert set(photos(layout)) == {"train", "test"}
    assert layout.remarks == (f"left out 1 photos in {name}: it has no labels",)


def test_a_test_part_without_classes_is_left_out_aloud() -> None:
    layout = read("train/cat/1.png", "train/dog/1.png", "test1/1.png", "test1/2.png")
    assert set(photos(layout)) == {"train"}
    assert layout.remarks == ("left out 2 photos in test1: it has no class folders",)


def test_classes_beside_a_test_part_of_the_same_classes_are_refused() -> None:
    with pytest.raises(DataError, match=r"test would be splits, but cat \(1 photos\), dog"):
        read("cat/1.png", "dog/1.png", "test/cat/2.png", "test/dog/2.png")


def test_folders_without_photos_beside_splits_matter_to_nobody() -> None:
    layout = read("train/cat/1.png", "test/cat/1.png", "annotations/a/1.xml", "labels/2.txt")
    assert set(photos(layout)) == {"train", "test"}
    assert layout.remarks == ()


@pytest.mark.parametrize(
    "names", [("train", "test"), ("Training", "val"), ("seg_train", "seg_dev")]
)
def test_classes_may_hold_the_splits(names: tuple[str, str]) -> None:
    files = [f"{label}/{name}/1.png" for label in ("cat", "dog") for name in names]
    found = photos(read(*files))
    assert found.pop("train") == {("cat", files[0]), ("dog", files[2])}
    assert list(found.values()) == [{("cat", files[1]), ("dog", files[3])}]


@pytest.mark.parametrize("more", ["dog/1.png", "cat/9.png", "dog/2020/1.png"])
def test_classes_that_hold_splits_and_photos_in_none_are_refused(more: str) -> None:
    with pytest.raises(DataError, match="holds the splits"):
        read("cat/train/1.png", "cat/test/2.png", "dog/train/1.png", more)


@pytest.mark.parametrize("name", ["new", "images", "train", "test"])
def test_a_class_may_be_called_as_a_wrapper_is(name: str) -> None:
    layout = read(f"train/{name}/1.png", "train/used/1.png", f"test/{name}/2.png")
    assert photos(layout)["test"] == {(name, f"test/{name}/2.png")}
    assert layout.remarks == ()


def test_folds_and_domains_of_the_same_classes_are_refused() -> None:
    folds = [f"fold{i}/{split}/{c}/1.png" for i in "12" for split in ("train", "val") for c in "ab"]
    with pytest.raises(DataError, match="data sets of their own; give the folder of one"):
        read(*folds)
    years = [f"{c}/{split}/2020/1.png" for c in "ab" for split in ("train", "val")]
    assert set(photos(read(*years))) == {"train", "val"}


def test_a_folder_around_the_splits_is_refused_by_name() -> None:
    with pytest.raises(DataError, match="give the folder archive itself"):
        read("archive/train/cat/1.png", "archive/test/cat/1.png", "archive.md")


def test_splits_in_another_language_are_doubted_aloud() -> None:
    names = ("Übung", "Prüfung")
    layout = read(*(f"{name}/{label}/1.png" for name in names for label in ("Hund", "Katze")))
    assert "if they are splits, call them train and test" in layout.remarks[0]
    years = read(*(f"{name}/{year}/1.png" for name in names for year in ("2020", "2021")))
    assert years.remarks == ()


def test_photos_beside_the_class_folders_of_a_split_are_counted() -> None:
    layout = read("train/cat/1.png", "train/2.png", "train/3.png", "test/cat/1.png", "4.png")
    assert layout.remarks == (
        "ignored 1 images beside the class folders",
        "ignored 2 images beside the class folders in train",
    )


NAMES = st.sampled_from(["train", "test", "val", "seg_train", "cat", "dog", "images", "2020"])


@given(st.lists(st.lists(NAMES, max_size=4).map("/".join), min_size=1, max_size=8))
def test_no_photo_is_lost_without_a_word(folders: list[str]) -> None:
    files = {f"{folder}/{i}.png".lstrip("/") for i, folder in enumerate(folders)}
    try:
        layout = read(*files)
    except DataError:
        return  # what is refused says what was seen: the tests above
    found = [file for group in photos(layout).values() for _, file in group]
    assert len(found) == len(set(found))
    counted = re.findall(r"^(?:left out|ignored) (\d+) ", "\n".join(layout.remarks), re.MULTILINE)
    assert len(files) - len(found) == sum(map(int, counted))


def test_the_parts_of_a_data_set_are_counted(tmp_path: Path) -> None:
    make(tmp_path, "seg_train/seg_train/a/1.png", "seg_train/seg_train/b/2.png")
    make(tmp_path, "seg_train/seg_train/b/3.png", "seg_test/seg_test/b/4.png")
    assert load_data(tmp_path, suffixes=SUFFIXES).sizes == {
        "train": {"photos": 3, "classes": 2},
        "val": {"photos": 0, "classes": 0},
        "test": {"photos": 1, "classes": 1},
    }


def test_training_photos_are_not_tested_on_for_want_of_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make(tmp_path, "train/a/1.png", "train/b/1.png")
    with pytest.raises(DataError, match="a train split, but none to test on"):
        load_labelled(tmp_path, ("a", "b"), suffixes=SUFFIXES)
    make(tmp_path, "dev/a/2.png")
    with caplog.at_level("WARNING", "edgetransfer"):
        (sample,) = load_labelled(tmp_path, ("a", "b"), suffixes=SUFFIXES)
    assert sample.id == "dev/a/2.png"
    assert "no test split; its val split is taken" in caplog.text
    manifest = tmp_path / "m.csv"
    manifest.write_text("path,label,split\n1.png,a,train\n2.png,b,\n")
    with pytest.raises(DataError, match="without the column split"):
        load_labelled(manifest, ("a", "b"), suffixes=SUFFIXES)
    manifest.write_text("path,label\n1.png,a\n2.png,b\n")
    assert len(load_labelled(manifest, ("a", "b"), suffixes=SUFFIXES)) == 2
