"""Labelled sets of tasks through `translate` and back: rows and cards, engines, memory, files."""
