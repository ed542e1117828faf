"""Presets: sets of ordinary options under one name, below what the user writes."""

from typing import Any

UPSTREAM_VIEWS = {"grid": "response", "level": "token"}
"""What the original does in its views (SPEC 13): blocks from the response start, one mask probability per token."""

UPSTREAM = {"reduction": {"divisor": "padded_length"}}


def expand_compat(values: dict[str, Any], view_options: dict[str, set[str]], default_view: str) -> dict[str, Any]:
    """The values with ``compat: upstream`` turned into the options it stands for; others stay as they are.

    Args:
        values: keys of a configuration, choices as mappings or names.
        view_options: option names of every registered view.
        default_view: the view if none is chosen.
    """
    if values.get("compat") != "upstream":
        return values
    chosen = values.get("views", default_view)
    views = {"name": chosen} if isinstance(chosen, str) else dict(chosen)
    known = view_options.get(views.get("name", default_view), set())
    views = {**{key: value for key, value in UPSTREAM_VIEWS.items() if key in known}, **views}
    merged = {section: {**options, **values.get(section, {})} for section, options in UPSTREAM.items()}
    return {**values, **merged, "views": views}
