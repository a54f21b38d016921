"""The meters and the mathematics of their receipts; knows nothing of Home Assistant."""
