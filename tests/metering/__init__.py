"""The meters and the mathematics of receipts."""
