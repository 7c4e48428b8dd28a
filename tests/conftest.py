"""What holds for all tests."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# No test is about speed, and a machine that does other things beside takes its time.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
