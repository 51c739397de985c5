"""The commands, one module each: a function named like the module, or a group named `app`.

`fraudstream.__main__` finds them by their module's name. Modules here import nothing heavy at their top, so that
`--help` and shell completion answer at once.
"""
