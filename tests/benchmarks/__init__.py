"""What the book and the README state as measured: run by hand, recorded, never a timed test."""
