"""The models on this disk: where they are, what is known of them, and which are the same."""
