"""Tests of what receipts are handed out as."""
