"""The limits of one file and of one job."""

FILE_BYTES = 64 * 1024 * 1024
IMAGE_PIXELS = 40_000_000
IMAGE_SIDE = 20_000
PDF_PAGES = 200
JOB_PAGES = 200
AUDIO_SECONDS = 15 * 60
# A rendered page: legible print at 150 to 200 dots an inch, and never more than 12 MB in memory.
RENDERED_SIDE = 2000
RENDER_SCALE = 200 / 72
SAMPLE_RATE = 16_000
