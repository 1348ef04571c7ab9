"""The version of this program, as CHANGELOG.md tells it."""

VERSION = "1.0.0"
