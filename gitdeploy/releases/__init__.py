"""What is known of deployments and releases: state.db, the audit log, labels and names, what is kept for a rollback.

May import engine (its protocol), terminal and config.
"""
