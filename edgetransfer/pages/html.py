"""The one way that text enters a page, and the page's frame.

Names of files and classes are anybody's: they go through `text` or `plain`, which are also what
keeps a page small. A page may load nothing: its style and script are allowed by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape

from edgetransfer.names import readable

LONGEST = 80  # characters of a name


def plain(value: object, longest: int = LONGEST) -> str:
    """A name for an attribute, its middle left out where it is long."""
    whole = str(value)
    if len(whole) > longest:
        head = longest // 3
        whole = f"{whole[:head]}…{whole[head + 1 - longest :]}"
    return escape(readable(whole).replace("\n", " "), quote=True)


def text(value: object, longest: int = LONGEST) -> str:
    """A name for the page: what it does to the direction of writing ends with it."""
    return f"<bdi>{plain(value, longest)}</bdi>"


def share(value: float) -> str:
    """A share in percent; a dash where there is none."""
    return "–" if value != value else f"{100 * value:.1f}&#8239;%"


def count(number: int, one: str, many: str = "") -> str:
    """A number and what it counts."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def framed(title: str, body: str, style: str, script: str) -> str:
    """A whole page."""
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; "
        f"script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'"
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{plain(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f"{body}\n<script>{script}</script>\n</body>\n</html>\n"
    )


def _hash(code: str) -> str:
    digest = hashlib.sha256(code.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
