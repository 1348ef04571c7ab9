"""The tables that the rules of models.py stand on, a file each. Everybody else takes them from `models`."""
