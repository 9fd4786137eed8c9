"""``python -m api``: serve the API with the settings of the process, without the CLI."""

from api.server import run
from core.kit.settings import get_settings

if __name__ == "__main__":
    run(get_settings())
