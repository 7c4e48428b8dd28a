"""Where the two halves of an artifact type meet: dataclasses of ``ops``, schemas of ``storage``.

One module per kind, so that a stage depends only on the kinds it reads and makes.
"""
