# SPDX-License-Identifier: Apache-2.0
"""Helpers of the interop suite: processes under test, foreign parts, and wire-level peers of both kinds."""
