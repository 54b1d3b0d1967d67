"""A page where a person teaches a classifier, photo by photo, and sees what it has learned."""

from edgetransfer.settings.teach import TeachSettings
from edgetransfer.teach.job import run_teaching

__all__ = ["TeachSettings", "run_teaching"]
