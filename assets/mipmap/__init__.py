"""The stages of the multi-scale study: splats that look right at every scale."""
