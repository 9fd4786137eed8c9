"""``python -m waybill``: the same as the ``waybill`` command."""

from waybill.cli.main import app

if __name__ == "__main__":
    app(prog_name="waybill")
