"""Looks after an installation: checks that name what is wrong, and a report to pass on."""
