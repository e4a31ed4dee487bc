"""Scores of translations: against references, against each other, and of whole sets."""
