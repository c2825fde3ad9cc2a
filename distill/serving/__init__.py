"""Serving: exported students, checked, loaded and asked, without the store, the recipe or the data they came from."""

from distill.serving.export import Export
from distill.serving.exports import Exports
from distill.serving.manifest import Format

__all__ = ["Export", "Exports", "Format"]
