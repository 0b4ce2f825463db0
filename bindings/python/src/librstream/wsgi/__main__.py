# SPDX-License-Identifier: Apache-2.0
"""``python -m librstream.wsgi module:app``"""

import argparse
import sys
from typing import Any

from librstream._web.command import run
from librstream.wsgi import serve
from librstream.tunnel import BytestreamTunnel


async def _serve(app: Any, tunnel: BytestreamTunnel, options: argparse.Namespace) -> None:
    await serve(app, tunnel, root_path=options.root_path)


if __name__ == "__main__":
    sys.exit(run("wsgi", _serve))
