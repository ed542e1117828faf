"""Typed options of every command, declared once; read from YAML files and ``key=value`` arguments. Loads no torch."""
