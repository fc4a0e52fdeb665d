"""The version, alone here so that anybody may import it."""

__version__ = "0.2.0"
