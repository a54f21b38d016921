"""Tests of the integration inside Home Assistant, with simulated meters."""
