// SPDX-License-Identifier: Apache-2.0
import CQUIC

/// What ngtcp2 calls. All of it runs inside `QUICConnection.pathReceived`, `flush` or its timer.
enum QUICCallbacks {
  static let table: ngtcp2_callbacks = {
    var table = ngtcp2_callbacks()
    table.client_initial = ngtcp2_crypto_client_initial_cb
    table.recv_client_initial = ngtcp2_crypto_recv_client_initial_cb
    table.recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb
    table.encrypt = ngtcp2_crypto_encrypt_cb
    table.decrypt = rstream_quic_decrypt
    table.hp_mask = ngtcp2_crypto_hp_mask_cb
    table.recv_retry = ngtcp2_crypto_recv_retry_cb
    table.update_key = ngtcp2_crypto_update_key_cb
    table.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb
    table.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb
    table.get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb
    table.version_negotiation = ngtcp2_crypto_version_negotiation_cb
    addConnection(&table)
    addStreams(&table)
    return table
  }()

  private static func addConnection(_ table: inout ngtcp2_callbacks) {
    table.handshake_completed = { _, user in
      connection(user)?.opened()
      return 0
    }
    table.rand = { bytes, count, _ in QUICRandom.fill(UnsafeMutableRawBufferPointer(start: bytes, count: count)) }
    table.get_new_connection_id = { _, id, token, count, user in
      guard let id, let token, let owner = connection(user), count <= ConnectionID.limit else {
        return NGTCP2_ERR_CALLBACK_FAILURE
      }
      QUICConnection.fill(&id.pointee, count)
      owner.gaveOut(id.pointee, token)
      return 0
    }
    table.remove_connection_id = { _, id, user in
      if let id { connection(user)?.tookBack(id.pointee) }
      return 0
    }
    table.recv_stateless_reset = { _, _, user in
      connection(user)?.statelessReset()
      return 0
    }
    rstream_quic_callbacks_token(&table) { user, bytes, count in
      if count <= 512 { connection(user)?.token = Array(UnsafeBufferPointer(start: bytes, count: count)) }
    }
    table.recv_datagram = { _, _, bytes, count, user in
      guard let owner = connection(user) else { return 0 }
      // What came before on a stream may be what makes the datagram understood.
      owner.loop.gathering.deliver()
      owner.delegate?.connection(owner, received: UnsafeRawBufferPointer(start: bytes, count: count))
      return 0
    }
    table.extend_max_local_streams_bidi = { _, _, user in
      connection(user)?.mayOpenStreams()
      return 0
    }
    table.extend_max_local_streams_uni = { _, _, user in
      connection(user)?.mayOpenStreams()
      return 0
    }
  }

  private static func addStreams(_ table: inout ngtcp2_callbacks) {
    table.stream_open = { _, id, user in
      connection(user)?.peerOpened(id)
      return 0
    }
    table.recv_stream_data = { _, flags, _, _, bytes, count, _, user in
      let isLast = flags & UInt32(NGTCP2_STREAM_DATA_FLAG_FIN) != 0
      withStream(user) { stream in
        let piece = UnsafeRawBufferPointer(start: bytes, count: count)
        stream.loop.gathering.append(piece, of: stream, withEnd: isLast)
      }
      return 0
    }
    table.acked_stream_data_offset = { _, _, _, count, _, user in
      withStream(user) { $0.acknowledged(Int(clamping: count)) }
      return 0
    }
    table.extend_max_stream_data = { _, _, _, user, streamUser in
      if let blocked = stream(streamUser), blocked.isBlocked { connection(user)?.wantsToWrite(blocked) }
      return 0
    }
    table.stream_reset = { _, _, _, code, _, user in
      stream(user)?.wasReset(code)
      return 0
    }
    table.stream_close = { _, _, id, _, user, streamUser in
      connection(user)?.streamClosed(id, stream(streamUser))
      return 0
    }
  }
}

private func connection(_ user: UnsafeMutableRawPointer?) -> QUICConnection? {
  user.map { Unmanaged<QUICConnection>.fromOpaque($0).takeUnretainedValue() }
}

private func stream(_ user: UnsafeMutableRawPointer?) -> QUICStream? {
  user.map { Unmanaged<QUICStream>.fromOpaque($0).takeUnretainedValue() }
}

/// For what is called with every packet: ngtcp2 knows only streams that the connection keeps, and they need not be counted
/// once more.
private func withStream(_ user: UnsafeMutableRawPointer?, _ body: (QUICStream) -> Void) {
  guard let user else { return }
  Unmanaged<QUICStream>.fromOpaque(user)._withUnsafeGuaranteedRef { body($0) }
}

extension QUICConnection {
  func gaveOut(_ id: ngtcp2_cid, _ token: UnsafeMutablePointer<UInt8>) {
    if let listener {
      listener.add(id, self)
      listener.writeResetToken(for: id, token)
    } else {
      QUICRandom.fill(UnsafeMutableRawBufferPointer(start: token, count: Int(NGTCP2_STATELESS_RESET_TOKENLEN)))
    }
  }

  func tookBack(_ id: ngtcp2_cid) { listener?.remove(id, self) }
}
