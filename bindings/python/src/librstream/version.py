# SPDX-License-Identifier: Apache-2.0
"""The version of this package: that of the C library it was written for."""

__version__ = "1.0.0"
