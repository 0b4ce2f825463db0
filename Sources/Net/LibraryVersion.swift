// SPDX-License-Identifier: Apache-2.0

/// The version of rstream/version.h, which peers are told.
public enum LibraryVersion {
  public static let text = "1.0.0"
}
