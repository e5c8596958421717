"""What is measured of a training, step by step, and how rank 0 keeps it."""
