// SPDX-License-Identifier: Apache-2.0
import CRstream
import RstreamNet
import Testing

@Test func peersAreToldTheVersionOfTheHeader() {
  #expect(LibraryVersion.text == RSTREAM_VERSION_STRING)
}
