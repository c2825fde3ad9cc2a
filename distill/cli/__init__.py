"""The command line: `distill VERB`."""

from distill.cli.app import main

__all__ = ["main"]
