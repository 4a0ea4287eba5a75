"""The process that is one command."""

import gc
from typing import NoReturn


def program() -> NoReturn:
    gc.disable()  # nothing that is imported is garbage, and looking for some is a tenth of a short command
    from intarsia import cli

    gc.freeze()
    gc.set_threshold(10_000)
    gc.enable()
    cli.program()


if __name__ == "__main__":
    program()
