"""Reports: pure functions from a result to bytes, one file per format."""
