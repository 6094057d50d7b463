"""What the agent needs besides the worker: its directories, and the files that make it a container or a service."""
