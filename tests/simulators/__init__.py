"""Tests of the simulated meters, with the clients that talk to the real ones."""
