"""Measurements of DC Charging Meter, one file per question; README.md has the method."""
