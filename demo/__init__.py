"""A real Home Assistant with two simulated meters, for a person or for a check."""
