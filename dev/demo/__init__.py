"""Demo data, small and large."""
