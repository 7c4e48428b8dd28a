"""How fast rendering and training are on this machine, and how near to what it can do."""
