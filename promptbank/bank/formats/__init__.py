"""Rows as files of this and of other programs: `bank export --format` and `bank import --format`."""
