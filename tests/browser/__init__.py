"""What people see and touch: a real Home Assistant, simulated meters, a real browser."""
