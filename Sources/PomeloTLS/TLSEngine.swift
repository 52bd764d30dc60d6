// SPDX-License-Identifier: MIT
#if TLS
    import COpenSSL
    package import PomeloLoop

    /// One side of a TLS connection without a socket: what the peer sent goes in, what it is to be sent comes out.
    ///
    /// OpenSSL reads and writes through functions of ours instead of memory of its own, which would stay as large as
    /// the handshake needed it.
    @safe @Loop package final class TLSEngine {
        /// Who this side is.
        package enum Side {
            case server
            /// With the name that the server must have, and be asked for by; nil for one that need not prove it.
            case client(name: String?)
        }

        /// The longest piece of plain text that TLS carries in one record.
        ///
        /// - Source: RFC 8446, section 5.1.
        package static let recordBytes = 16_384
        private static let plain = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: recordBytes)

        // SAFETY: made in `init`, freed in `letGo` or `deinit`, used on the loop in between, and never once it is nil.
        private nonisolated(unsafe) var ssl: OpaquePointer?
        /// What is being taken in, while `take` runs.
        private var input = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
        private var output: [UInt8] = []
        private var watch = RecordWatch()
        /// Whether the peer has shown that it has the keys.
        package private(set) var isOpen = false
        /// Whether the peer has said that nothing more comes.
        package private(set) var peerHasEnded = false
        private var failure: TLSError?
        /// What is known of one that was let go of.
        private var (lastVersion, lastStep, wasResumed) = ("", 0, false)

        /// - Throws: when there is no memory, or the name is none.
        package init(_ context: TLSContext, _ side: Side) throws(TLSError) {
            guard let ssl = unsafe SSL_new(context.pointer) else { throw TLSError(TLSContext.reason("no memory")) }
            unsafe self.ssl = ssl
            guard let bio = unsafe BIO_new(Self.method) else { throw TLSError(TLSContext.reason("no memory")) }
            unsafe BIO_set_data(bio, Unmanaged.passUnretained(self).toOpaque())
            unsafe BIO_set_init(bio, 1)
            unsafe SSL_set_bio(ssl, bio, bio)
            switch side {
            case .server: unsafe SSL_set_accept_state(ssl)
            case .client(let name):
                unsafe SSL_set_connect_state(ssl)
                if let name { try expect(name) }
            }
        }

        deinit { unsafe SSL_free(ssl) }

        /// Nothing is taken or sealed any more: the memory of OpenSSL is needed no longer, but for what it has said.
        func letGo() {
            guard let ended = unsafe ssl else { return }
            (lastVersion, lastStep, wasResumed) = (version, step, isResumed)
            if failure == nil { failure = TLSError("the stream has ended") }
            unsafe ssl = nil
            unsafe SSL_free(ended)
        }

        private func expect(_ name: String) throws(TLSError) {
            // An address is a name of another kind in a certificate, and none that a server is asked for.
            if unsafe X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1 { return }
            ERR_clear_error()
            guard unsafe SSL_set1_host(ssl, name) == 1, unsafe pomelo_ssl_set_server_name(ssl, name) == 1 else {
                throw TLSError(TLSContext.reason("\(name) cannot be the name of a server"))
            }
        }

        /// The version that is spoken, as `TLSv1.3`.
        package var version: String { unsafe ssl == nil ? lastVersion : String(cString: SSL_get_version(ssl)) }
        /// Whether an earlier session goes on.
        package var isResumed: Bool { unsafe ssl == nil ? wasResumed : SSL_session_reused(ssl) == 1 }

        /// Begins a client's handshake: there is something to send then.
        package func begin() throws(TLSError) { try shakeHands() }

        /// Where a handshake is; what has not changed it has cost next to nothing.
        var step: Int { unsafe ssl == nil ? lastStep : Int(truncatingIfNeeded: SSL_get_state(ssl).rawValue) }

        /// Takes what the peer sent, and hands on what it says, as long as that is wanted.
        ///
        /// - Returns: how many bytes were taken: all, unless `deliver` has returned false.
        /// - Throws: when the peer is not believed, or does not speak TLS; there may be an alert to send.
        package func take(
            _ bytes: borrowing Span<UInt8>, _ deliver: (borrowing Span<UInt8>) -> Bool
        ) throws(TLSError) -> Int {
            try take(bytes) { () throws(TLSError) in
                if !isOpen { try shakeHands() }
                if isOpen { try readAll(deliver) }
            }
        }

        /// The same, of a handshake alone: what is behind it is not taken.
        func shakeHands(by bytes: borrowing Span<UInt8>) throws(TLSError) -> Int {
            try take(bytes) { () throws(TLSError) in if !isOpen { try shakeHands() } }
        }

        private func take(_ bytes: borrowing Span<UInt8>, by work: () throws(TLSError) -> Void) throws(TLSError) -> Int
        {
            if let failure { throw failure }
            var error: TLSError?
            let taken = unsafe bytes.withUnsafeBytes { bytes in
                unsafe input = bytes
                // What is said below may lead to `end`, and back to who owns this.
                do throws(TLSError) {
                    try work()
                } catch let reason {
                    error = reason
                }
                let left = unsafe input.count
                unsafe input = UnsafeRawBufferPointer(start: nil, count: 0)
                return bytes.count - left
            }
            if let error {
                failure = error
                throw error
            }
            return taken
        }

        private func readAll(_ deliver: (borrowing Span<UInt8>) -> Bool) throws(TLSError) {
            while !peerHasEnded {
                ERR_clear_error()
                let count = unsafe SSL_read(ssl, Self.plain.baseAddress, Int32(Self.recordBytes))
                guard count > 0 else { return try judge(count) }
                watch.noteText()
                let text = unsafe UnsafeBufferPointer(rebasing: Self.plain[..<Int(count)])
                guard unsafe deliver(Span(_unsafeElements: text)) else { return }
            }
        }

        private func shakeHands() throws(TLSError) {
            ERR_clear_error()
            let status = unsafe SSL_do_handshake(ssl)
            if status == 1 { isOpen = true } else { try judge(status) }
        }

        /// More must come first, the peer has ended, or there is no use in going on.
        private func judge(_ status: Int32) throws(TLSError) {
            if let fault = watch.fault {
                ERR_clear_error()
                throw TLSError(fault)
            }
            let kind = unsafe SSL_get_error(ssl, status)
            if [SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE].contains(kind) { return }
            if kind == SSL_ERROR_ZERO_RETURN { return peerHasEnded = true }
            let verdict = unsafe SSL_get_verify_result(ssl)
            guard verdict == X509_V_OK else {
                ERR_clear_error()
                let text = unsafe String(cString: X509_verify_cert_error_string(verdict))
                throw TLSError("the certificate is not believed: \(text)")
            }
            throw TLSError(TLSContext.reason(isOpen ? "broken TLS" : "no TLS handshake"))
        }

        /// Seals what is to be sent; nothing before the handshake is done.
        ///
        /// - Throws: when OpenSSL refuses, which it does only without memory.
        package func seal(_ bytes: [UInt8]) throws(TLSError) {
            guard isOpen, failure == nil, !bytes.isEmpty else { return }
            // Room for what each record has around it.
            output.reserveCapacity(output.count + bytes.count + (bytes.count / Self.recordBytes + 1) * 64)
            var done = 0
            while done < bytes.count {
                ERR_clear_error()
                let written = unsafe bytes.withUnsafeBytes { bytes in
                    let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[done...])
                    return unsafe SSL_write(ssl, rest.baseAddress, Int32(clamping: rest.count))
                }
                guard written > 0 else { throw TLSError(TLSContext.reason("cannot encrypt")) }
                done += Int(written)
            }
        }

        /// Says that nothing more comes.
        package func end() {
            guard isOpen, failure == nil else { return }
            ERR_clear_error()
            _ = unsafe SSL_shutdown(ssl)
            ERR_clear_error()
        }

        /// What is to be sent, which nobody is told of twice.
        package func takeOutput() -> [UInt8] {
            defer { output = [] }
            return output
        }

        // MARK: what OpenSSL calls

        // SAFETY: made once, and only read after that.
        private nonisolated(unsafe) static let method: OpaquePointer? = {
            let method = unsafe BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "pomelo")
            unsafe BIO_meth_set_read(method) { bio, target, count in
                unsafe TLSEngine.of(bio)?.give(bio, target, count) ?? -1
            }
            unsafe BIO_meth_set_write(method) { bio, bytes, count in
                unsafe TLSEngine.of(bio)?.keep(bytes, count) ?? -1
            }
            // Nothing is held back that could be flushed.
            unsafe BIO_meth_set_ctrl(method) { _, command, _, _ in command == BIO_CTRL_FLUSH ? 1 : 0 }
            return unsafe method
        }()

        private nonisolated static func of(_ bio: OpaquePointer?) -> TLSEngine? {
            guard let data = unsafe BIO_get_data(bio) else { return nil }
            return unsafe Unmanaged<TLSEngine>.fromOpaque(data).takeUnretainedValue()
        }

        private nonisolated func give(
            _ bio: OpaquePointer?, _ target: UnsafeMutablePointer<CChar>?, _ count: Int32
        ) -> Int32 {
            // SAFETY: OpenSSL calls back on the loop's thread, where it was called.
            nonisolated(unsafe) let (bio, target) = unsafe (bio, target)
            return Loop.assumeIsolated {
                unsafe pomelo_bio_clear_retry(bio)
                guard let target = unsafe target, count > 0, unsafe !input.isEmpty else {
                    unsafe pomelo_bio_want_read(bio)
                    return -1
                }
                let size = unsafe min(Int(count), input.count)
                let next = unsafe UnsafeRawBufferPointer(rebasing: input[..<size]).assumingMemoryBound(to: UInt8.self)
                let isNew = unsafe SSL_version(ssl) == TLS1_3_VERSION
                unsafe watch.note(Span(_unsafeElements: next), isOpen: isOpen, isTLS13: isNew)
                // Without the flag to come again later, OpenSSL gives up.
                if watch.fault != nil { return -1 }
                unsafe UnsafeMutableRawPointer(target).copyMemory(
                    from: input.baseAddress.unsafelyUnwrapped, byteCount: size)
                unsafe input = UnsafeRawBufferPointer(rebasing: input[size...])
                return Int32(size)
            }
        }

        private nonisolated func keep(_ bytes: UnsafePointer<CChar>?, _ count: Int32) -> Int32 {
            // SAFETY: as above.
            nonisolated(unsafe) let bytes = unsafe bytes
            return Loop.assumeIsolated {
                unsafe output.append(contentsOf: UnsafeRawBufferPointer(start: bytes, count: Int(max(0, count))))
                return count
            }
        }
    }
#endif
