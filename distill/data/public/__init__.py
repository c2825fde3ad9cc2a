"""Public sets of impressions that users know: from the files as published to our format."""
