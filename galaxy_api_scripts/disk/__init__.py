"""Disk space: who uses it, histories that nobody touches, deleted datasets that still take it."""
