"""Names that need not be text, as they leave the program."""

from __future__ import annotations

import json
import os
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from edgetransfer.names import is_file_name, json_text, readable

NAMES = st.binary(min_size=1, max_size=30).map(os.fsdecode) | st.text(max_size=20)


@given(NAMES)
def test_json_gives_every_name_back(name: str) -> None:
    text = json_text({"id": [name]})
    assert json.loads(text.encode().decode()) == {"id": [name]}


@given(st.binary(min_size=1, max_size=30))
def test_json_gives_the_very_bytes_back(name: bytes) -> None:
    assert os.fsencode(json.loads(json_text(os.fsdecode(name)).encode())) == name


@given(st.text(max_size=20))
def test_letters_of_all_kinds_stay_as_they_are(text: str) -> None:
    assert json_text(text) == json.dumps(text, ensure_ascii=False)


@given(NAMES)
def test_what_people_read_is_text_without_controls(name: str) -> None:
    shown = readable(name)
    assert shown.encode().decode() == shown
    kinds = {unicodedata.category(letter) for letter in shown if letter not in "\t\n"}
    assert not kinds & {"Cc", "Cs"}


def test_what_people_read() -> None:
    assert readable("grün 猫 👩‍🌾") == "grün 猫 👩‍🌾"
    assert readable(os.fsdecode(b"gr\xfcn\x1b[31m")) == r"gr\xfcn\x1b[31m"
    assert readable("\ud800") == r"\ud800"


@given(st.binary(min_size=1, max_size=30))
def test_every_name_of_a_file_is_one(name: bytes) -> None:
    assert is_file_name(os.fsdecode(name)) == (b"\0" not in name)
    assert not is_file_name("\ud800")
