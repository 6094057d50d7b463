"""How a new release takes over on a Docker Engine, and what is there of both. Importing this imports no strategy."""
