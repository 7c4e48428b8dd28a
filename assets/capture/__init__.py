"""The stages of captures."""
