# SPDX-License-Identifier: Apache-2.0
"""Finding out what keeps a client from its engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from librstream._config import ClientOptions, native_config
from librstream._driver import Driver

FindingStatus = Literal["pass", "warn", "fail", "skip"]

_STATUSES: tuple[FindingStatus, ...] = ("pass", "warn", "fail", "skip")


@dataclass(frozen=True)
class Finding:
    """What came of one check.

    Attributes:
        name: "configuration", "project", "dns", "tcp", "proxy", "tls", "engine" or
            "clock"; the library's header doctor.h tells what each of them checks.
        status: "warn": it works, and may not for long or not safely; "skip": it was not
            needed, or not possible after an earlier failure.
        seconds: how long it took.
        detail: what was found, as one line; never a token, secret or key.
        advice: what to do about it, None where there is nothing to do.
    """

    name: str
    status: FindingStatus
    seconds: float
    detail: str
    advice: str | None


@dataclass(frozen=True)
class Diagnosis:
    """What all checks came to.

    Attributes:
        findings: one for each check, in their order.
        worst: the worst status of them: "pass", "warn" or "fail".
    """

    findings: tuple[Finding, ...]
    worst: FindingStatus


async def doctor(*, on_finding: Callable[[Finding], None] | None = None, **options: Any) -> Diagnosis:
    """Checks the way to an engine, one check after the other.

    ::

        diagnosis = await librstream.doctor(engine="edge.example.com")
        for finding in diagnosis.findings:
            print(finding.status, finding.name, finding.detail, finding.advice or "")

    Args:
        on_finding: called as soon as a check has ended.
        options: those of :class:`librstream.Client`.

    Raises:
        ConfigurationError: a setting or the configuration file cannot be understood;
            settings that cannot work together are a finding.
    """
    return await examine(ClientOptions(**options), on_finding)


async def examine(options: ClientOptions, on_finding: Callable[[Finding], None] | None) -> Diagnosis:
    driver = Driver.current()
    library, callbacks = driver.library, driver.callbacks
    findings: list[Finding] = []
    ended: asyncio.Future[FindingStatus] = driver.loop.create_future()

    def checked(name: str, status: int, microseconds: int, detail: str, advice: str | None) -> None:
        finding = Finding(name, _status(status), microseconds / 1_000_000, detail, advice)
        findings.append(finding)
        if on_finding is not None and not ended.done():
            on_finding(finding)

    def done(worst: int) -> None:
        callbacks.forget(number)
        driver.release()
        if not ended.done():
            ended.set_result(_status(worst))

    number = callbacks.number_always(checked)
    callbacks.once[number] = done
    driver.acquire()
    try:
        with native_config(library, options) as config:
            library.checked(
                "examine the way to the engine",
                library.doctor,
                driver.handle,
                config,
                callbacks.doctor_check,
                callbacks.doctor_end,
                number,
            )
    except BaseException:
        callbacks.forget(number)
        driver.release()
        raise
    driver.touch()
    worst = await ended
    return Diagnosis(tuple(findings), worst)


def _status(number: int) -> FindingStatus:
    return _STATUSES[number] if 0 <= number < len(_STATUSES) else "fail"
