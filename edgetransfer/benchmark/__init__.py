"""Time per epoch and accuracy of backbones against a dense one, on this machine and data."""

from edgetransfer.benchmark.runner import run_benchmark
from edgetransfer.settings.benchmark import BenchmarkSettings, SyntheticFamily

__all__ = ["BenchmarkSettings", "SyntheticFamily", "run_benchmark"]
