"""Distils one large ads-ranking teacher into hundreds of small vertical click models."""
