"""Readers for the dataset layouts that people have, one module each."""
