"""Which key of `[apps.X.run]` an engine does not take, from its words. Pure.

Words of engines 20.10 to 29 with runc 1.1 to 1.5.
"""

from __future__ import annotations

import re

FAULTS = {
    r"could not select device driver|nvidia-container-cli|discover GPU vendor": (
        "run.gpus: the engine's machine needs the vendor's container toolkit (nvidia-ctk runtime configure), or has no such GPU"
    ),
    r"error gathering device information": "run.devices: the engine's machine has no such device",
    r"requested (?:cpus|memory nodes) are not available": "run.cpuset: the engine's machine has not so many processors",
    r"invalid cap(?:add|drop)|unknown capability": "run.cap_add and run.cap_drop take the names of capabilities(7)",
    r"unknown (?:or invalid )?runtime": "run.runtime: `docker info` lists the engine's runtimes",
    r"sysctl|/proc/sys/": "run.sysctls: the engine's kernel has no such setting, or not for each container, or not that value",
    r"rlimit": "run.ulimits: the engine may not give that much; ask for less",
    r"apparmor": "run.security_opt: the engine's machine has no such AppArmor profile (aa-status lists them)",
    r"seccomp": "run.security_opt: this engine does not take that for seccomp",
    r"logging driver|log driver|log opt": "run.log_driver, run.log_opts: the engine does not have, or not take, that",
    r"minimum memory (?:limit|reservation)|memoryswap limit": "run.memory, run.memory_swap: give more",
    r"(?<!bind: )address already in use|user specified ip address|no configured subnet": (
        "run.ip, run.ip6: another container has the address, or the network was made without --subnet"
    ),
    r"volume (?:plugin|driver)": "run.volume_driver: `docker info` lists the engine's volume plugins",
    r"incompatible with user namespaces|cannot share the host|userns": (
        'run.userns: the engine keeps users apart, and that goes with userns = "host" only'
    ),
}


def option_fault(text: str) -> str:
    """Return what to do about an engine's refusal to make or start a container, "" if it is of no option."""
    return next((hint for pattern, hint in FAULTS.items() if re.search(pattern, text, re.I)), "")
