"""``python -m infra.prometheus``: write the rules and the page that are generated from the objectives."""

from infra.prometheus import reference
from infra.prometheus.rules import RULES, groups, render


def main() -> None:
    """Write both files."""
    RULES.write_text(render(groups()), encoding="utf-8")
    reference.PAGE.write_text(reference.render(), encoding="utf-8")


if __name__ == "__main__":
    main()
