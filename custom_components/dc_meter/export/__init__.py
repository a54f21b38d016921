"""Receipts in forms that others can open and check."""
