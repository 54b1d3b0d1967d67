"""A page where a person teaches a classifier, photo by photo, and sees what it has learned."""

from edgetransfer.teach.job import run_teaching
from edgetransfer.teach.settings import TeachSettings

__all__ = ["TeachSettings", "run_teaching"]
