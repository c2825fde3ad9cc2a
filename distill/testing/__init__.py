"""One battery for every ranker, ours or an outsider's, and small examples to test with."""

from distill.testing.battery import check_ranker
from distill.testing.examples import example_features, example_schema

__all__ = ["check_ranker", "example_features", "example_schema"]
