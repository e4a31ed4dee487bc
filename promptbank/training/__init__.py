"""One p-tuning run: rows, batches, loss, dev score, resume file."""
