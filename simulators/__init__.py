"""Simulated meters: a DCT1 on a serial line, an IEM-DCR on a port, and the car they measure."""
