"""Pages on which accounting decides about projects."""
