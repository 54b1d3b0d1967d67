"""Passwords and tokens of addresses: nowhere but in the environment."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetransfer.confidential import MASK, filled, without_secrets
from edgetransfer.errors import DataError, EdgeTransferError, UsageError
from edgetransfer.settings.stream import StreamSettings
from edgetransfer.settings.train import LinearTraining

SECRET = "s3cret"
SCHEMES = ("http", "https", "s3", "redis", "rediss", "kafka", "mqtts", "postgresql+psycopg", "kfk")
HOSTS = ("host", "host:8443", "a.b-c.org", "[::1]:9", "127.0.0.1:1")
NAMES = ("sasl.password", "ssl.key.password", "token", "X-Amz-Signature", "sig", "api_key")
# What may stand in a password beside the secret; a slash or a question mark must be quoted there.
around = st.text(st.sampled_from("ab9@:!$&'*+,;=%.~-_ü"), max_size=4)


@st.composite
def addresses(draw: st.DrawFn) -> tuple[str, str]:
    """An address, and what of it is no secret."""
    scheme, host = draw(st.sampled_from(SCHEMES)), draw(st.sampled_from(HOSTS))
    path = draw(st.sampled_from(["/photos", "/a/b@c/photos.zip", "/cams/+/x", ""]))
    plain = f"{host}{path}"
    password = quote(draw(around) + SECRET + draw(around), safe="@:!$&*+,;=.~-_")
    login = draw(st.sampled_from([f"me:{password}@", f":{password}@", ""]))
    query = draw(st.lists(st.sampled_from(NAMES), max_size=2))
    pairs = ["page=2", *(f"{name}={quote(SECRET)}" for name in query)]
    slashes = draw(st.sampled_from(["://", ":/"]))  # a `Path` makes one of two
    return f"{scheme}{slashes}{login}{plain}?{'&'.join(pairs)}", plain


@given(addresses(), st.sampled_from(["{}", "{}: damaged", "see {}.", "data:{}", "it's '{}', no"]))
def test_nothing_secret_is_left_and_the_rest_is(made: tuple[str, str], sentence: str) -> None:
    address, plain = made
    text = sentence.format(address)
    said = without_secrets(text)
    assert SECRET not in said
    assert plain in said
    assert "page=2" in said
    assert without_secrets(said) == said
    if SECRET not in text:
        assert said == text
    before, behind = sentence.split("{}")
    assert said.startswith(before)
    assert said.endswith(behind)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("https://s3cret@host/a", "https://***@host/a"),  # a token alone
        ("redis://reader@host/a", "redis://reader@host/a"),
        ("redis://me:s3c/ret@host/a", "redis://me:***@host/a"),
        ("zip://a::https://me:s3cret@h/a.zip", "zip://a::https://me:***@h/a.zip"),
        ("https://host:80/@me/a", "https://host:80/@me/a"),
        ("mqtts://cam:${PW}@h/a?token=${T}", "mqtts://cam:${PW}@h/a?token=${T}"),
        ("mqtts://cam:x${PW}@h/a", "mqtts://cam:***@h/a"),
        ("sqlite:///photos.db", "sqlite:///photos.db"),
        ("folder:/a/me:you@x", "folder:/a/me:you@x"),
        ("no address: me:you@host", "no address: me:you@host"),
    ],
)
def test_what_is_a_secret(text: str, said: str) -> None:
    assert without_secrets(text) == said


def test_variables_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PW", "a${b}")
    assert filled("x${PW}y$PW") == "xa${b}y$PW"
    with pytest.raises(LookupError, match="NO_SUCH"):
        filled("${NO_SUCH}")


@pytest.mark.parametrize("kind", [EdgeTransferError, UsageError, DataError])
def test_no_error_shows_one(kind: type[EdgeTransferError]) -> None:
    error = kind(f"kafka://me:{SECRET}@host/t: no such topic")
    assert str(error) == "kafka://me:***@host/t: no such topic"
    assert SECRET not in f"{error}"


def test_no_config_keeps_one_and_no_settings_show_one(tmp_path: Path) -> None:
    source = f"redis://me:{SECRET}@host/photos?group=a"
    stream = StreamSettings(source=(source, "jsonl:-"), out=tmp_path / "run")
    assert stream.to_config()["data"] == f"redis://me:{MASK}@host/photos?group=a, jsonl:-"
    far = Path(f"https://host/photos.zip?token={SECRET}")
    train = LinearTraining(data=far, out=tmp_path / "run")
    assert train.to_config()["data"] == f"https://host/photos.zip?token={MASK}"
    assert SECRET not in repr(stream) + repr(train)
    named = LinearTraining(data=Path("https://me:${PW}@host/photos.zip"), out=tmp_path / "run")
    assert named.to_config()["data"] == "https://me:${PW}@host/photos.zip"
