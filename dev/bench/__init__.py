"""The benchmark of the README's performance table: `make bench`, or `python -m bench --help`."""
