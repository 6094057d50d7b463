"""The HAProxy in front of all apps, on ports 80 and 443: names, certificates, and which app a request goes to.

May import releases, engine, terminal and config. What needs the packages of gitdeploy[edge] is imported when it is used.
"""
