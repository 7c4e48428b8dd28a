"""Widgets to explore results with, in JupyterLab or in a page of their own.

Each has a half in Python (here) and a half in the browser (``js/src``, bundled into ``bundle.js``
by ``make widgets``). The bytes go over the widget's own connection: no port, no proxy, no network.
"""
