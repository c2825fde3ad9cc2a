"""Impressions: from Parquet or CSV to memory-mapped columns, and whole batches gathered from them."""
