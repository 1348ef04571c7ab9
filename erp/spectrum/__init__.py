"""Spectrum's Data Exchange web services, as an accounting system that Countersign can use."""
