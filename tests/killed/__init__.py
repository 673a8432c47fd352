"""Runs that are killed and gone on with, in processes of their own."""
