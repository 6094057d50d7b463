"""Releases as services of a Docker Swarm: the new one beside the old one, and requests moved between them; never in place.

The cluster places tasks, restarts and reschedules them; which release serves is on the services' labels. May import the
pure parts of `targets/`, `strategies`, `router`, and of `docker` what runs beside releases: tasks, accessories, commands.
"""
