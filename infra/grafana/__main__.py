"""``python -m infra.grafana``: write the dashboards that the chart, Compose and Azure share."""

from infra.grafana.dashboards import FOLDER, render


def main() -> None:
    """Write every file."""
    FOLDER.mkdir(exist_ok=True)
    for name, content in render().items():
        (FOLDER / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
