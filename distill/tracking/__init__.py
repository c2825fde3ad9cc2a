"""Tracking: one MLflow run a recipe, one child run a student and arm, written off the training path.

    Tracker.record -> outbox on disk -> one writer thread -> MLflow

A record is on disk before `record` returns, and leaves the disk once MLflow has it, exactly once, whoever is killed
in between. Importing this package does not import mlflow; the writer thread does, when there is something to send.
"""

from distill.tracking.address import redacted
from distill.tracking.environment import environment
from distill.tracking.record import RunRecord
from distill.tracking.server import serve
from distill.tracking.tracker import Delivery, Tracker, Untracked, open_tracker

__all__ = ["Delivery", "RunRecord", "Tracker", "Untracked", "environment", "open_tracker", "redacted", "serve"]
