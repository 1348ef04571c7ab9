"""General tools that know nothing of projects, jobs or Spectrum."""
