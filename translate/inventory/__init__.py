"""The label inventory: one decision for each label and phrase, and its TOML file."""
