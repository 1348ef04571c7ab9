"""Tools for development: demo data, the sandbox, the benchmark. The product runs without them."""
