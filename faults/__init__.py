"""Faults of every kind against a real Home Assistant, and what must hold through them."""
