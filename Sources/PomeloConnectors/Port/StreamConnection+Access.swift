// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloWire

/// Whose connection it is, and whether that client is served.
extension StreamConnection: ProxyPrefaceOwner {
    /// The client's, as far as a trusted proxy has told it; else that of who has connected.
    var remoteAddress: SocketAddress { forwarded?.address ?? stream.remoteAddress }

    /// Judges a client that is known by its connection; a trusted proxy has yet to say whom it speaks for.
    func judgePeer() { if !port.door.trusts(stream.remoteAddress) { _ = isAdmitted() } }

    func prefaceEnded() { judgePeer() }
    func prefaceFailed() { fail(.notSpoken) }

    /// A request of a trusted proxy names its client, each request another one if it likes.
    func noteClient(of request: UpgradeRequest) {
        let client = port.door.client(of: request, behind: stream.remoteAddress)
        guard client != forwarded?.address else { return }
        forwarded = client.map(Forwarded.init)
        admission = .unknown
    }

    /// Whether the client is served now; otherwise its connection has ended, or somebody is asked about it, and what
    /// is to be done then is done if it may.
    func isAdmitted(_ then: @escaping @Loop () -> Void = {}) -> Bool {
        switch admission {
        case .granted: return true
        case .asked: return false
        case .unknown: break
        }
        let address = remoteAddress
        port.place(self)
        if finished { return false }
        if port.door.blocks(address) {
            cut(.blocked)
            return false
        }
        guard let ask = port.door.isBlocked else {
            admission = .granted
            return true
        }
        admission = .asked
        pauseReading()
        Loop.spawn { [self] in
            var isBlocked = false
            do {
                isBlocked = try await ask(address)
            } catch {
                port.noteFailedFilter(address, error)
            }
            guard !finished else { return }
            if isBlocked { return cut(.blocked) }
            admission = .granted
            // First, for who serves it may want to pause.
            resumeReading()
            then()
        }
        return false
    }
}
