"""Experiments, and the methods that prompts are compared with."""
