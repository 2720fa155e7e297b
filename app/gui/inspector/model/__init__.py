"""The inspector's page of a model, on this disk or on the hub."""
