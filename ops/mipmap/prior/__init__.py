"""Super-resolution that can be exchanged: a prior says what finer pixels would show."""
