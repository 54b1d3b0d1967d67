"""Class folders, split or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgetransfer.data import DataSplits, find_images, load_data, load_labelled
from edgetransfer.errors import DataError, UsageError

SUFFIXES = frozenset([".jpg", ".png"])


def make(root: Path, *names: str) -> Path:
    """Files with their own name as content; nothing here is decoded."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return root


def load(path: Path, **options: object) -> DataSplits:
    return load_data(path, suffixes=SUFFIXES, **options)  # type: ignore[arg-type]


def ids(samples: tuple) -> list[str]:  # type: ignore[type-arg]
    return [s.id for s in samples]


def test_one_folder_a_class(tmp_path: Path) -> None:
    splits = load(make(tmp_path, "dog/2.png", "dog/1.jpg", "cat/1.JPG", "Zebra/1.png"))
    assert splits.classes == ("Zebra", "cat", "dog")
    assert ids(splits.train) == ["Zebra/1.png", "cat/1.JPG", "dog/1.jpg", "dog/2.png"]
    assert [s.label for s in splits.train] == [0, 1, 2, 2]
    assert (splits.val, splits.test, splits.ignored) == ((), (), ())
    assert splits.train[2].read() == b"dog/1.jpg"


@pytest.mark.parametrize("val", ["val", "valid", "validation", "Val"])
@pytest.mark.parametrize("train", ["train", "training", "Train"])
def test_split_folders(train: str, val: str, tmp_path: Path) -> None:
    make(tmp_path, f"{train}/a/1.png", f"{train}/b/1.png", f"{val}/a/2.png", "test/b/3.png")
    splits = load(tmp_path)
    assert splits.classes == ("a", "b")
    assert ids(splits.train) == [f"{train}/a/1.png", f"{train}/b/1.png"]
    assert ids(splits.val) == [f"{val}/a/2.png"]
    assert ids(splits.test) == ["test/b/3.png"]
    assert (splits.val[0].label, splits.test[0].label) == (0, 1)


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    splits = load(make(tmp_path, "train/1.png", "plane/1.png", "bus/1.png"))
    assert splits.classes == ("bus", "plane", "train")
    assert len(splits.train) == 3


def test_hidden_files_and_those_of_other_systems_are_no_data(tmp_path: Path) -> None:
    make(
        tmp_path,
        *("a/1.png", "b/1.png", "a/.2.png", "a/._1.png", ".git/1.png", "__MACOSX/a/1.png"),
        *("a/.thumbs/1.png", "a/__MACOSX/1.png", "a/Thumbs.db", "b/desktop.ini", "b/.DS_Store"),
    )
    splits = load(tmp_path)
    assert splits.classes == ("a", "b")
    assert ids(splits.train) == ["a/1.png", "b/1.png"]
    assert splits.ignored == ()


def test_other_endings_are_counted(tmp_path: Path) -> None:
    make(tmp_path, "a/1.png", "b/1.png", "a/x.txt", "b/y.TXT", "b/z.psd", "b/noending", "top.txt")
    assert load(tmp_path).ignored == ((".psd", 1), (".txt", 2), ("no ending", 1))


def test_nested_folders_belong_to_the_class_at_the_top(tmp_path: Path) -> None:
    splits = load(make(tmp_path, "a/2020/may/1.png", "a/1.png", "b/x/1.png"))
    assert splits.classes == ("a", "b")
    assert ids(splits.train) == ["a/1.png", "a/2020/may/1.png", "b/x/1.png"]


def test_names_with_spaces_and_letters_of_all_kinds(tmp_path: Path) -> None:
    names = ["Äpfel & Birnen/a b.png", "猫/写真 1.png", "x'y\"z/#1.png"]
    splits = load(make(tmp_path, *names))
    assert sorted(splits.classes) == sorted(n.split("/")[0] for n in names)
    assert {s.read().decode() for s in splits.train} == set(names)


def test_an_empty_class_is_refused_by_name(tmp_path: Path) -> None:
    make(tmp_path, "a/1.png", "b/1.png", "d/readme.txt")
    (tmp_path / "c").mkdir()
    with pytest.raises(
        DataError, match=r"class 'c' has no training images \(nor have 1 other"
    ) as e:
        load(tmp_path)
    assert str(tmp_path) in str(e.value)


def test_an_empty_class_of_the_train_split_is_refused(tmp_path: Path) -> None:
    make(tmp_path, "train/a/1.png", "train/b/1.png", "test/c/1.png")
    (tmp_path / "train" / "c").mkdir()
    with pytest.raises(DataError, match="class 'c' has no training images"):
        load(tmp_path)


def test_a_single_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="only one class \\('a'\\)"):
        load(make(tmp_path, "a/1.png", "a/2.png"))


@pytest.mark.parametrize("names", [(), ("1.png",), ("a/1.txt",)])
def test_no_images_are_refused(names: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"no training images found; expected one folder a class .*above"
    ):
        load(make(tmp_path, *names))


def test_a_test_split_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a test split, but no train split"):
        load(make(tmp_path, "test/a/1.png", "test/b/1.png"))


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: no such folder or file"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("there", "typed"),
    [("photos", "photo"), ("photos", "phtos"), ("Ménage 1", "Menage 1"), ("pets.csv", "pets.cvs")],
)
def test_a_slip_is_answered_by_what_is_there(there: str, typed: str, tmp_path: Path) -> None:
    (tmp_path / there).mkdir()
    with pytest.raises(DataError, match="no such folder or file; did you mean") as told:
        load(tmp_path / typed)
    assert str(told.value).endswith(f"{tmp_path / there}?")
    with pytest.raises(DataError, match=r"no such folder or file$"):
        load(tmp_path / "quite another")


def test_a_file_that_is_no_manifest_is_refused(tmp_path: Path) -> None:
    make(tmp_path, "data.xlsx")
    with pytest.raises(DataError, match=r"data\.xlsx: not a folder, and no file of .* \(\.csv"):
        load(tmp_path / "data.xlsx")


def test_test_data_of_its_own(tmp_path: Path) -> None:
    make(tmp_path, "one/a/1.png", "one/b/1.png", "two/b/9.png")
    splits = load(tmp_path / "one", test_data=tmp_path / "two")
    assert [(s.id, s.label) for s in splits.test] == [("b/9.png", 1)]


def test_an_unknown_class_in_the_test_data_is_refused_by_name(tmp_path: Path) -> None:
    make(tmp_path, "one/a/1.png", "one/b/1.png", "two/b/9.png", "two/wolf/1.png")
    with pytest.raises(DataError, match=r"two: class 'wolf' is not among the 2 classes"):
        load(tmp_path / "one", test_data=tmp_path / "two")


def test_an_unknown_class_in_the_test_split_is_refused(tmp_path: Path) -> None:
    make(tmp_path, "train/a/1.png", "train/b/1.png", "test/wolf/1.png")
    with pytest.raises(DataError, match="class 'wolf'"):
        load(tmp_path)


def test_labelled_images_are_the_test_split_or_everything(tmp_path: Path) -> None:
    make(tmp_path, "s/train/a/1.png", "s/test/a/2.png", "p/b/3.png")
    classes = ("a", "b")
    assert ids(load_labelled(tmp_path / "s", classes, suffixes=SUFFIXES)) == ["test/a/2.png"]
    assert ids(load_labelled(tmp_path / "p", classes, suffixes=SUFFIXES)) == ["b/3.png"]
    with pytest.raises(DataError, match="no images found"):
        load_labelled(make(tmp_path / "e", "x.txt"), classes, suffixes=SUFFIXES)


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 2.0, float("nan")])
def test_a_fraction_outside_0_to_1_is_a_usage_error(fraction: float, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        load(make(tmp_path, "a/1.png", "b/1.png"), val_fraction=fraction)


def test_find_images_is_sorted_deep_and_blind_to_hidden_ones(tmp_path: Path) -> None:
    make(tmp_path, "b.png", "a/c.JPG", "a/.x.png", ".h/d.png", "a/b/e.png", "f.txt")
    found = [p.relative_to(tmp_path).as_posix() for p in find_images(tmp_path, suffixes=SUFFIXES)]
    assert found == ["b.png", "a/c.JPG", "a/b/e.png"]
