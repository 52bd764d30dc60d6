// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloWire

/// One client that speaks pomelo's packages, over TCP or WebSocket.
@Loop final class HybridClient {
    let shared: HybridProtocol
    let connection: StreamConnection
    var state = HybridState()
    /// What it is spoken to by, from its welcome on.
    var edition: HybridEdition
    /// Until the host was told of the end.
    private(set) var session: ClientSession?
    /// Over TCP; nil while it is at work further up the stack, and over WebSocket.
    private var decoder: PacketDecoder?

    /// Shows the connection to the core; nil when it is not wanted.
    init?(_ shared: HybridProtocol, _ connection: StreamConnection) {
        self.shared = shared
        self.connection = connection
        edition = shared.edition
        if connection.kind == .tcp {
            decoder = PacketDecoder(maxBodyBytes: connection.limits.maxBytesBeforeAck)
        }
        session = connection.port.host.opened(self)
        if session == nil {
            connection.port.statistics.refused += 1
            return nil
        }
    }

    var port: ClientPort { connection.port }
    var options: HybridOptions { shared.options }
}

extension HybridClient: StreamUser {
    private var maxBodyBytes: Int {
        state.phase == .working ? shared.limits.maxMessageBytes : shared.limits.maxBytesBeforeAck
    }
    var maxMessageBytes: Int { maxBodyBytes + Packet.headerLength }
    var heldBytes: Int { decoder?.heldBytes ?? 0 }

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

    func read(_ message: Bytes, isText: Bool, from start: Int) -> Int {
        do throws(WireError) {
            let rest = message.span.extracting(start..<message.count)
            return start
                + (try PacketDecoder.decodeFrame(rest, maxBodyBytes: maxBodyBytes) { type, body, limit in
                    receive(type, body, &limit)
                })
        } catch {
            connection.fail(Self.fault(error))
            return message.count
        }
    }

    private static func fault(_ error: WireError) -> ConnectionFault {
        if case .tooLarge = error { return .tooLarge }
        return .badPackage
    }

    func ending() {
        _ = state.close()
        decoder = nil
    }

    func ended(_ end: SessionEnd) {
        guard let session else { return }
        self.session = nil
        port.host.closed(session, end)
    }
}
