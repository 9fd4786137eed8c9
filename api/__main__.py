"""``python -m api``: serve the API with the process's settings, without the command line's extras."""

from api.server import run
from core.kit.settings import get_settings

if __name__ == "__main__":
    run(get_settings())
