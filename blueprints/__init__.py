"""The pages, a blueprint per room. A page reads and changes rows; it never waits for Spectrum or SMTP."""
