"""Fixtures of this folder; see `tests.photos`."""

from tests.photos import backbone, photos

__all__ = ["backbone", "photos"]
