"""The stages of evaluation."""
