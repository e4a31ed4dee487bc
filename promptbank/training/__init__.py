"""One training loop, with its schedules, batches and checkpoints, and p-tuning, the first of what it trains."""
