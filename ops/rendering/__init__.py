"""Rendering: one function for all devices."""
