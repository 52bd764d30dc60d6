// SPDX-License-Identifier: MIT
import PomeloLibc
import PomeloLoop
import PomeloTLS

/// What goes through one encrypted connection, between the commands and replies and the socket.
///
/// What waits here is bounded by who sends: commands without a reply are.
@safe @Loop final class SealedBytes {
    private let engine: TLSEngine
    /// Commands that no handshake, or no end of a turn, has let out yet.
    private var plain: [UInt8] = []
    private var sealed: [UInt8] = []
    /// Bytes of `sealed` that are written already.
    private var offset = 0

    init(_ engine: TLSEngine) { self.engine = engine }

    /// Whether everything is in the kernel that may be.
    var isEmpty: Bool { offset == sealed.count }

    /// Bytes of memory that are used, those that are written and not let go of included.
    var kept: Int { plain.count + sealed.count }

    /// Adds a command, and returns 0, as hiredis does.
    func add(_ bytes: UnsafeBufferPointer<UInt8>) -> Int32 {
        unsafe plain.append(contentsOf: bytes)
        return 0
    }

    /// Encrypts and writes what there is, as far as the socket takes it; returns what went wrong.
    func write(to descriptor: Int32) -> SocketEnd? {
        do throws(TLSError) {
            if engine.isOpen, !plain.isEmpty {
                try engine.seal(plain)
                plain = []
            }
        } catch {
            return SocketEnd(cause: .encryption, text: "TLS: \(error)")
        }
        sealed += engine.takeOutput()
        while offset < sealed.count {
            let written = unsafe sealed.withUnsafeBytes { bytes in
                let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[offset...])
                return unsafe PomeloLibc.write(descriptor, rest.baseAddress, rest.count)
            }
            if written < 0 {
                if errno == EINTR { continue }
                if errno == EAGAIN || errno == EWOULDBLOCK {
                    letGo()
                    return nil
                }
                return SocketEnd(cause: .network, text: unsafe String(cString: strerror(errno)))
            }
            offset += written
        }
        sealed.removeAll(keepingCapacity: sealed.count <= 65_536)
        offset = 0
        return nil
    }

    /// Where there is always something left, what is written goes as soon as it is half of all.
    private func letGo() {
        if offset < 65_536 || offset * 2 < sealed.count { return }
        sealed.removeFirst(offset)
        offset = 0
    }

    /// Takes what was read, and gives `feed` what it means; returns what went wrong.
    func take(_ bytes: UnsafeRawBufferPointer, _ feed: (UnsafeRawBufferPointer) -> Void) -> SocketEnd? {
        do throws(TLSError) {
            let typed = unsafe bytes.bindMemory(to: UInt8.self)
            _ = try unsafe engine.take(Span(_unsafeElements: typed)) { text in
                unsafe text.withUnsafeBytes { unsafe feed($0) }
                return true
            }
            return engine.peerHasEnded ? SocketEnd(cause: .network, text: "Server closed the connection") : nil
        } catch {
            return SocketEnd(cause: .encryption, text: "TLS: \(error)")
        }
    }
}

extension TLSEngine {
    /// One for a connection to a place; nil where none is wanted.
    ///
    /// Files are read each time, off the loop: so new ones count from the next connection on.
    static func load(_ options: TLSClientOptions?, to place: SocketAddress) async throws(NetworkError) -> TLSEngine? {
        guard let options else { return nil }
        do throws(TLSError) {
            return try await TLSClient.load(options).engine(to: place.host)
        } catch {
            throw NetworkError(code: "TLS", description: "TLS: \(error)")
        }
    }
}
