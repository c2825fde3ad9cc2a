"""Knowledge: what a ranker said of each row, written once, read by every learner."""

from distill.knowledge.manifest import Kind, Manifest
from distill.knowledge.store import Knowledge, KnowledgeStore, KnowledgeWriter
from distill.knowledge.table import import_table, table_fingerprint

__all__ = ["Kind", "Knowledge", "KnowledgeStore", "KnowledgeWriter", "Manifest", "import_table", "table_fingerprint"]
