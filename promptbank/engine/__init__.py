"""The inference engine: prompts of many tasks in one batch, labels by their forms, open answers by greedy decoding."""
