"""The pipeline: records in, checked translations out."""
