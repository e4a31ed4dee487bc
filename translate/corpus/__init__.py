"""Corpora: pairs of sentences read, filtered, augmented and written for the training of a translator."""
