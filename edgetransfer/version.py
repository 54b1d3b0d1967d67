"""The version, where everything that writes it down reads it."""

__version__ = "0.1.0"
