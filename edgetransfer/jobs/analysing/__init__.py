"""What is known of networks: how masks moved, what was memorised, how alike their answers are."""

from edgetransfer.jobs.analysing.job import analyse

__all__ = ["analyse"]
