"""What p-tuning is compared with: in-context learning, classical baselines, tuning of the backbone's weights."""
