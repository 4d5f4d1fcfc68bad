"""Checks: pure functions from measurements to findings, one file each."""
