// SPDX-License-Identifier: MIT
#if TLS
    import COpenSSL
    import PomeloLibc

    /// What all connections of one server or client share: keys, authorities, versions; one `SSL_CTX`.
    ///
    /// What touches OpenSSL's memory is in this file and in TLSEngine.
    @safe package final class TLSContext: Sendable {
        // SAFETY: made in `init`, freed in `deinit`, and used by OpenSSL, which counts its users, in between.
        nonisolated(unsafe) let pointer: OpaquePointer

        private init(_ method: OpaquePointer?, _ lowest: TLSVersion) throws(TLSError) {
            guard let context = unsafe SSL_CTX_new(method) else { throw TLSError(Self.reason("no memory")) }
            unsafe pointer = context
            unsafe pomelo_ssl_set_modes(context)
            unsafe pomelo_ssl_set_versions(context, lowest == .v1_3 ? TLS1_3_VERSION : TLS1_2_VERSION)
        }

        deinit { unsafe SSL_CTX_free(pointer) }

        /// A server's; its sessions are resumed by tickets alone, so that none of them is kept here.
        ///
        /// - Throws: naming the file that cannot be used, and why.
        package convenience init(server options: TLSServerOptions) throws(TLSError) {
            try unsafe self.init(TLS_server_method(), options.minimumVersion)
            unsafe pomelo_ssl_set_session_cache(pointer, SSL_SESS_CACHE_OFF)
            try use(options.certificateFile, options.keyFile)
            if let file = options.clientAuthorityFile {
                try trust(file)
                unsafe SSL_CTX_set_client_CA_list(pointer, SSL_load_client_CA_file(file))
                unsafe SSL_CTX_set_verify(pointer, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
                // A ticket of another server, which may believe other authorities, is worth nothing here.
                let name = Array("pomelo".utf8)
                unsafe SSL_CTX_set_session_id_context(pointer, name, UInt32(name.count))
            }
            unsafe SSL_CTX_set_alpn_select_cb(pointer, chooseProtocol, nil)
        }

        /// A client's.
        ///
        /// - Throws: naming the file that cannot be used, and why.
        package convenience init(client options: TLSClientOptions) throws(TLSError) {
            try unsafe self.init(TLS_client_method(), .v1_2)
            if let certificate = options.certificateFile { try use(certificate, options.keyFile ?? certificate) }
            guard options.verifiesServer else {
                unsafe SSL_CTX_set_verify(pointer, SSL_VERIFY_NONE, nil)
                return
            }
            if let file = options.authorityFile {
                try trust(file)
            } else if unsafe SSL_CTX_set_default_verify_paths(pointer) != 1 {
                throw TLSError(Self.reason("the system's authorities cannot be read"))
            }
            unsafe SSL_CTX_set_verify(pointer, SSL_VERIFY_PEER, nil)
        }

        private func use(_ certificate: String, _ key: String) throws(TLSError) {
            for path in [certificate, key] { try checkIsFile(path) }
            guard unsafe SSL_CTX_use_certificate_chain_file(pointer, certificate) == 1 else {
                throw TLSError(Self.reason("the certificate \(certificate) cannot be used"))
            }
            guard unsafe SSL_CTX_use_PrivateKey_file(pointer, key, SSL_FILETYPE_PEM) == 1 else {
                throw TLSError(Self.reason("the key \(key) cannot be used with the certificate \(certificate)"))
            }
        }

        private func trust(_ file: String) throws(TLSError) {
            try checkIsFile(file)
            guard unsafe SSL_CTX_load_verify_locations(pointer, file, nil) == 1 else {
                throw TLSError(Self.reason("the authorities \(file) cannot be used"))
            }
        }

        /// A pipe would keep whoever reads it for ever; what is not there is told by OpenSSL.
        private func checkIsFile(_ path: String) throws(TLSError) {
            var status = stat()
            guard unsafe stat(path, &status) == 0, status.st_mode & S_IFMT != S_IFREG else { return }
            throw TLSError("\(path) is no file")
        }

        /// What marks a number of `errno` among OpenSSL's own, `ERR_SYSTEM_FLAG` of openssl/err.h.
        private static let ofSystem: UInt = 1 << 31

        /// What was tried, and what OpenSSL says first, which is nearest to the cause; its queue is empty afterwards.
        static func reason(_ what: String) -> String {
            var text = ""
            while case let code = ERR_get_error(), code != 0 {
                guard text.isEmpty else { continue }
                if code & Self.ofSystem != 0 {
                    text = unsafe String(cString: strerror(Int32(truncatingIfNeeded: code & ~Self.ofSystem)))
                } else if let reason = unsafe ERR_reason_error_string(code) {
                    text = unsafe String(cString: reason)
                }
            }
            return text.isEmpty ? what : "\(what): \(text)"
        }
    }

    /// The one application protocol there is, for clients that ask; who asks for others only is let in without one.
    ///
    /// - Source: RFC 7301; a WebSocket begins as HTTP/1.1 (RFC 6455, section 4.1).
    private func chooseProtocol(
        _ ssl: OpaquePointer?, _ chosen: UnsafeMutablePointer<UnsafePointer<UInt8>?>?,
        _ length: UnsafeMutablePointer<UInt8>?, _ offered: UnsafePointer<UInt8>?, _ count: UInt32,
        _ context: UnsafeMutableRawPointer?
    ) -> Int32 {
        guard let chosen = unsafe chosen, let length = unsafe length, let offered = unsafe offered else {
            return SSL_TLSEXT_ERR_NOACK
        }
        let http = Array("http/1.1".utf8)
        var place = 0
        while place < Int(count) {
            let size = unsafe Int(offered[place])
            guard place + 1 + size <= Int(count) else { break }
            let name = unsafe UnsafeBufferPointer(start: offered + place + 1, count: size)
            if unsafe name.elementsEqual(http) {
                unsafe chosen.pointee = offered + place + 1
                unsafe length.pointee = UInt8(size)
                return SSL_TLSEXT_ERR_OK
            }
            place += 1 + size
        }
        return SSL_TLSEXT_ERR_NOACK
    }
#endif
