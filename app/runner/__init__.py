"""What runs inside a model server's process."""
