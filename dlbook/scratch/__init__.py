"""Deep learning by hand: every forward and backward pass in NumPy, written as it is derived.

For each operation there is a pair of functions, one forward and one backward, with what the
backward pass needs passed between them as ``cache``. The layers hold parameters and call the pairs;
they contain no mathematics.
"""
