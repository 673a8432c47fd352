"""One function per figure of the book; each returns a matplotlib Figure."""
