"""What a notebook calls: every job as a function, exported from the root of the package.

Each takes the settings of its command by name, or a settings object; strings or paths; and returns
its report. Nothing heavy is imported before a function is called.
"""
