"""The small data set and backbone of whole trainings."""

from tests.photos import backbone, photos

__all__ = ["backbone", "photos"]
