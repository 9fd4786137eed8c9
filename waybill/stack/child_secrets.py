"""One folder of secrets per child, with only what it needs; none are in its environment."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from core.kit.processes import LOGINS, SECRETS, Process, address_of, secret_settings, set_passwords
from core.kit.settings import SECRETS_FOLDER, Settings
from waybill.stack.home import Home
from waybill.stack.plan import Child, spell, variable_of, variables_of


def give_passwords(home: Home, settings: Settings) -> dict[str, str]:
    """Create passwords for the logins once, and set them in the Postgres of `settings`."""
    assert settings.database_url is not None
    passwords = {login: home.load_or_create_secret(f"{login}.password") for login in LOGINS}
    set_passwords(settings.database_url.get_secret_value(), passwords)
    return passwords


def environment_without_secrets() -> dict[str, str]:
    """This process's environment without the settings that are secret."""
    hidden = _hidden()
    return {name: value for name, value in os.environ.items() if name.upper() not in hidden}


def _hidden() -> set[str]:
    return {spelled for name in secret_settings() for spelled in variables_of(name)}


class ChildSecrets:
    """Writes the folders below `settings.home`; `passwords` are those of the logins; empty for an external Postgres."""

    def __init__(self, settings: Settings, passwords: Mapping[str, str]) -> None:
        self._settings = settings
        self._passwords = passwords
        self._folder = settings.home / SECRETS_FOLDER
        self._hidden = _hidden()

    def environment(self, child: Child) -> dict[str, str]:
        """The environment of `child`: this process's and the settings, with the path of its secrets folder."""
        plain = {
            variable_of(name): spell(value)
            for name in sorted(self._settings.model_fields_set - secret_settings())
            if (value := getattr(self._settings, name)) is not None
        }
        # Children report in their logs that they are ready.
        if self._settings.log_level in {"warning", "error"}:
            plain["WAYBILL_LOG_LEVEL"] = "info"
        return {
            **environment_without_secrets(),
            **plain,
            **child.environment,
            "WAYBILL_SECRETS_DIR": str(self._write(child)),
        }

    def remove(self) -> None:
        """Remove all of them."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _write(self, child: Child) -> Path:
        folder = self._folder / child.name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, mode=0o700)
        given = self._settings.secrets_dir
        if child.process is Process.WORKER and given is not None and given.is_dir():
            # The credentials of models and tools, by links: they are read at each use, and may be replaced.
            for credential in given.absolute().iterdir():
                if credential.name.upper() not in self._hidden:
                    (folder / credential.name).symlink_to(credential)
        for name, value in {**self._of_process(child.process), **child.secrets}.items():
            path = folder / name
            # Never write through a link into another user's file.
            path.unlink(missing_ok=True)
            path.touch(mode=0o600)
            path.write_text(value, encoding="utf-8")
        return folder

    def _of_process(self, process: Process | None) -> dict[str, str]:
        if process is None:
            return {}
        found = {}
        for name in SECRETS[process]:
            value = getattr(self._settings, name)
            if value:
                found[variable_of(name)] = spell(value)
        if process.login is not None and process.login in self._passwords:
            address = variable_of("database_url")
            found[address] = address_of(found[address], process.login, self._passwords[process.login])
        return found
