"""What an artifact is, and how it is written, versioned and found again. Knows no mathematics.

- :mod:`storage.home`: where everything lives.
- :mod:`storage.schema`, :mod:`storage.schemas`: what artifacts look like.
- :mod:`storage.store`: the artifacts, by key.
- :mod:`storage.artifact`: the versions of one artifact: write, open, history, diff, restore, tag.
- :mod:`storage.provenance`: what made a version.
- :mod:`storage.errors`: what can go wrong, by what to do about it.
"""
