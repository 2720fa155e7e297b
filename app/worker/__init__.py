"""Heavy or risky work outside the engine: the only user of huggingface_hub."""
