// SPDX-License-Identifier: MIT
#if TLS
    import COpenSSL
    import PomeloLoop

    /// A client that is OpenSSL without any of our code, to do what ours never would.
    @safe @Loop final class HostilePeer {
        enum Version: Int, CaseIterable, Sendable { case v1_2 = 0x303, v1_3 = 0x304 }

        private let context: OpaquePointer?
        private let ssl: OpaquePointer?
        private let input = unsafe BIO_new(BIO_s_mem())
        private let output = unsafe BIO_new(BIO_s_mem())

        init(_ version: Version = .v1_3) {
            unsafe context = SSL_CTX_new(TLS_client_method())
            unsafe ssl = SSL_new(context)
            // SSL_CTRL_SET_MAX_PROTO_VERSION of openssl/ssl.h, whose macro Swift does not see.
            unsafe SSL_ctrl(ssl, 124, version.rawValue, nil)
            unsafe SSL_set_bio(ssl, input, output)
            unsafe SSL_set_connect_state(ssl)
        }

        isolated deinit {
            unsafe SSL_free(ssl)
            unsafe SSL_CTX_free(context)
        }

        var isOpen: Bool { unsafe SSL_get_state(ssl) == TLS_ST_OK }

        /// What it would send now.
        func said() -> [UInt8] {
            var bytes = [UInt8](repeating: 0, count: 1 << 20)
            let count = unsafe BIO_read(output, &bytes, Int32(bytes.count))
            return Array(bytes.prefix(Int(max(0, count))))
        }

        /// Goes on with the handshake, or reads.
        func hear(_ bytes: [UInt8] = []) -> [UInt8] {
            if !bytes.isEmpty { unsafe BIO_write(input, bytes, Int32(bytes.count)) }
            if !isOpen { unsafe SSL_do_handshake(ssl) }
            var text = [UInt8](repeating: 0, count: 1 << 16)
            if isOpen { unsafe SSL_read(ssl, &text, Int32(text.count)) }
            return said()
        }

        func write(_ bytes: [UInt8]) -> [UInt8] {
            unsafe SSL_write(ssl, bytes, Int32(bytes.count))
            return said()
        }

        /// Asks for new keys, and for the other side's too.
        func renewKeys() -> [UInt8] {
            unsafe SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED)
            unsafe SSL_do_handshake(ssl)
            return said()
        }

        /// Shakes hands anew, as TLS 1.2 has it.
        func renegotiate() -> [UInt8] {
            unsafe SSL_renegotiate(ssl)
            unsafe SSL_do_handshake(ssl)
            return said()
        }
    }
#endif
