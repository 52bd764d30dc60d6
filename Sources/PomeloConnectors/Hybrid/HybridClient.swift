// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloWire

/// One client that speaks pomelo's packages, over TCP, WebSocket or datagrams.
@Loop final class HybridClient<Connection: PackageConnection> {
    let shared: HybridProtocol
    let connection: Connection
    private(set) var state = HybridState()
    /// What it is spoken to by, from its welcome on.
    var edition: HybridEdition
    /// Until the host was told of the end.
    private(set) var session: ClientSession?
    let rate: ClientRate?
    /// What its messages are signed with, where they must be.
    var key: ClientKey?
    /// Over TCP; nil while it is at work further up the stack, and where packages come whole.
    private var decoder: PacketDecoder?

    /// Shows the connection to the core; nil when it is not wanted.
    init?(_ shared: HybridProtocol, _ connection: Connection) {
        self.shared = shared
        self.connection = connection
        rate = ClientRate(shared.limits.rates)
        edition = shared.edition
        if connection.carrier == .stream {
            decoder = PacketDecoder(maxBodyBytes: connection.limits.maxBytesBeforeAck)
        }
        session = connection.port.host.opened(self)
        if session == nil {
            connection.port.statistics.refused += 1
            return nil
        }
    }

    /// Its handshake came another way, and was accepted.
    func expectAck() {
        _ = advance { $0.receive(.handshake, limit: 0) }
        _ = advance { $0.answered(accepted: true) }
    }

    /// Takes a step of the state, which is set as a whole: then nobody who reads it need be checked for overlap.
    func advance<Answer>(_ step: (inout HybridState) -> Answer) -> Answer {
        var next = state
        let answer = step(&next)
        state = next
        return answer
    }

    var port: Connection.Port { connection.port }
    var options: HybridOptions { shared.options }
}

extension HybridClient: StreamUser {
    private var maxBodyBytes: Int {
        state.phase == .working ? shared.limits.maxMessageBytes : shared.limits.maxBytesBeforeAck
    }
    var maxMessageBytes: Int { maxBodyBytes + Packet.headerLength }
    var heldBytes: Int { decoder?.heldBytes ?? 0 }

    // What is called through `StreamUser` or `ClientSocket` is made for the most usual connection once more: in code
    // for any, each of its properties is found by its type at run time.

    @specialized(where Connection == StreamConnection)
    func read(_ bytes: borrowing Span<UInt8>) -> Int {
        guard var decoder else { return bytes.count }
        // It leaves the property while it works, because what it finds may lead back here.
        self.decoder = nil
        do throws(WireError) {
            let taken = try decoder.decode(bytes) { type, body, limit in
                receive(type, body, &limit)
            }
            if !connection.finished { self.decoder = decoder }
            return taken
        } catch {
            connection.fail(Self.fault(error))
            return bytes.count
        }
    }

    @specialized(where Connection == StreamConnection)
    func read(_ message: Bytes, isText: Bool, from start: Int) -> Int {
        start + read(packages: message.span.extracting(start..<message.count))
    }

    /// Reads whole packages; returns how many bytes it took: all, unless it must wait.
    func read(packages: Span<UInt8>) -> Int {
        do throws(WireError) {
            return try PacketDecoder.decodeFrame(packages, maxBodyBytes: maxBodyBytes) { type, body, limit in
                receive(type, body, &limit)
            }
        } catch {
            connection.fail(Self.fault(error))
            return packages.count
        }
    }

    private static func fault(_ error: WireError) -> ConnectionFault {
        if case .tooLarge = error { return .tooLarge }
        return .badPackage
    }

    func ending() {
        _ = advance { $0.close() }
        decoder = nil
    }

    func ended(_ end: SessionEnd) {
        guard let session else { return }
        self.session = nil
        port.host.closed(session, end)
    }
}
