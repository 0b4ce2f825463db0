# SPDX-License-Identifier: Apache-2.0
"""Configurations to be read, by what they are about."""
