"""Review: what a person should look at, and what the person decided."""
