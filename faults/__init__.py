"""The fault catalogue: one file per fault, and the planes that carry faults out."""
