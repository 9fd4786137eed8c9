"""``python -m api``: serve with the settings of the environment."""

from api.server import run
from core.kit.settings import get_settings

if __name__ == "__main__":
    run(get_settings())
