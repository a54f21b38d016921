"""Tests of DC Charging Meter."""
