"""Evaluation: image metrics and the protocols they are reported under."""
