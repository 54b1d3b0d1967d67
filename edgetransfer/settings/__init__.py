"""Every setting once: its name, type, default, bounds, and what the command line says of it.

A class a command, and groups that several share. Nothing heavy is loaded here, so that help pages
come at once.
"""
